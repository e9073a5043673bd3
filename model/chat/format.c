#include "model/chat/format.h"

/* What Gemma 3, Gemma 3n and FunctionGemma share.  The empty lines around an image are the processor's: it writes them when it
 * expands the template's soft token. */
#define TURNS_OF_GEMMA_3                                                                                                           \
    .start_of_turn = GEMLET_SPECIAL_START_OF_TURN, .end_of_turn = GEMLET_SPECIAL_END_OF_TURN, .user = "user\n",                    \
    .model = "model\n", .behind_turn = "\n",                                                                                       \
    .image = {"\n\n", GEMLET_SPECIAL_START_OF_IMAGE, GEMLET_SPECIAL_END_OF_IMAGE, "\n\n"},                                         \
    .sound = {"\n\n", GEMLET_SPECIAL_START_OF_AUDIO, GEMLET_SPECIAL_END_OF_AUDIO, "\n\n"}

#define ENDS_OF_GEMMA_3                                                                                                            \
    { GEMLET_SPECIAL_END_OF_TURN, GEMLET_SPECIAL_EOS, GEMLET_SPECIAL_EOS }

const gemlet_chat_format gemlet_gemma3_chat = {
    TURNS_OF_GEMMA_3,
    .behind_system = "\n\n",
    .ends = ENDS_OF_GEMMA_3,
    .cropped = {"Here is the original image \n\n", "\n\n and here are some crops to help you see better \n\n", "\n\n \n\n"},
};

const gemlet_chat_format gemlet_gemma3n_chat = {TURNS_OF_GEMMA_3, .behind_system = "\n\n", .ends = ENDS_OF_GEMMA_3};

static const gemlet_tool_format functiongemma_tools = {.always_described = true};
static const gemlet_tool_format gemma4_tools = {.nullable = true, .answers = true};

/* Functions are declared in the developer's turn; one that is to be called ends the model's answer by the mark of what it will
 * answer. */
const gemlet_chat_format gemlet_functiongemma_chat = {
    TURNS_OF_GEMMA_3,
    .system = "developer\n",
    .ends = {GEMLET_SPECIAL_END_OF_TURN, GEMLET_SPECIAL_EOS, GEMLET_SPECIAL_START_OF_TOOL_RESPONSE},
    .tools = &functiongemma_tools,
};

/* Larger models of the family get an empty channel where they are not to think; E2B and E4B do not. */
const gemlet_chat_format gemlet_gemma4_chat = {
    .start_of_turn = GEMLET_SPECIAL_START_OF_TURN,
    .end_of_turn = GEMLET_SPECIAL_END_OF_TURN,
    .user = "user\n",
    .model = "model\n",
    .behind_turn = "\n",
    .system = "system\n",
    .ends = {GEMLET_SPECIAL_END_OF_TURN, GEMLET_SPECIAL_EOS, GEMLET_SPECIAL_START_OF_TOOL_RESPONSE},
    .image = {"", GEMLET_SPECIAL_START_OF_IMAGE, GEMLET_SPECIAL_END_OF_IMAGE, ""},
    .sound = {"", GEMLET_SPECIAL_START_OF_AUDIO, GEMLET_SPECIAL_END_OF_AUDIO, ""},
    .thinks = true,
    .behind_think = "\n",
    .tools = &gemma4_tools,
};

gemlet_splice gemlet_chat_image_splice(const gemlet_chat_format *format, size_t index, size_t crops) {
    gemlet_splice around = format->image;
    if (crops > 0) {
        around.before = index == 0 ? format->cropped.before : "";
        around.after = index == 0 ? format->cropped.first : index < crops ? format->cropped.another : around.after;
    }
    return around;
}
