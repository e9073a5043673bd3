#include "model/chat/format.h"

/* The empty lines around an image are the processor's: it writes them when it expands the template's soft token. */
const gemlet_chat_format gemlet_gemma3_chat = {
    .start_of_turn = GEMLET_SPECIAL_START_OF_TURN,
    .end_of_turn = GEMLET_SPECIAL_END_OF_TURN,
    .user = "user\n",
    .model = "model\n",
    .behind_turn = "\n",
    .behind_system = "\n\n",
    .ends = {GEMLET_SPECIAL_END_OF_TURN, GEMLET_SPECIAL_EOS, GEMLET_SPECIAL_EOS},
    .image = {"\n\n", GEMLET_SPECIAL_START_OF_IMAGE, GEMLET_SPECIAL_END_OF_IMAGE, "\n\n"},
    .sound = {"\n\n", GEMLET_SPECIAL_START_OF_AUDIO, GEMLET_SPECIAL_END_OF_AUDIO, "\n\n"},
};

/* Functions are declared in the developer's turn; one that is to be called ends the model's answer by the mark of what it will
 * answer. */
const gemlet_chat_format gemlet_functiongemma_chat = {
    .start_of_turn = GEMLET_SPECIAL_START_OF_TURN,
    .end_of_turn = GEMLET_SPECIAL_END_OF_TURN,
    .user = "user\n",
    .model = "model\n",
    .behind_turn = "\n",
    .system = "developer\n",
    .ends = {GEMLET_SPECIAL_END_OF_TURN, GEMLET_SPECIAL_EOS, GEMLET_SPECIAL_START_OF_TOOL_RESPONSE},
    .image = {"\n\n", GEMLET_SPECIAL_START_OF_IMAGE, GEMLET_SPECIAL_END_OF_IMAGE, "\n\n"},
    .sound = {"\n\n", GEMLET_SPECIAL_START_OF_AUDIO, GEMLET_SPECIAL_END_OF_AUDIO, "\n\n"},
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
};
