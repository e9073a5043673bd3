/* Describes one picture on a core without an operating system: model, picture and prompt in, text out, all through semihosting.
 *
 *     describe MODEL PICTURE TOKENS PROMPT...
 *
 * is the command line that the debugger or emulator hands over: a packed model, a picture (binary PPM), how many tokens the answer
 * may have, and the prompt up to the end of the line.  Prints what `gemlet run -m MODEL --image PICTURE -n TOKENS --temp 0 -p
 * PROMPT` prints, then one line about memory.  start.S and image.ld make main run; the memory behind the program is the arena.
 */
#include <string.h>

#include <gemlet/chat.h>
#include <gemlet/gemlet.h>
#include <gemlet/image.h>
#include <gemlet/sampler.h>
#include <gemlet/semihosting.h>
#include <gemlet/tokenizer.h>

/* From image.ld: the stack, and the memory that nothing else uses. */
extern unsigned char board_stack_start[];
extern unsigned char board_stack_end[];
extern unsigned char board_memory_start[];
extern unsigned char board_memory_end[];

/* The linker's symbols are objects of their own, whose addresses C does not subtract. */
static size_t bytes_between(const unsigned char *start, const unsigned char *end) {
    return (size_t)((uintptr_t)end - (uintptr_t)start);
}

enum { LINE_BYTES = 1024, HEADER_BYTES = 64, CHANNELS = 3, EXIT_FAILED = 1, EXIT_FAULT = 3 };

typedef struct arguments {
    const char *model, *picture, *prompt;
    uint32_t tokens;
} arguments;

/* What the segments of the prompt are fed to. */
typedef struct listener {
    gemlet_session *session;
    const gemlet_chat_format *format;
    const gemlet_tokenizer *tokenizer;
    gemlet_encoder encoder;
    gemlet_sampler sampler;
    const gemlet_image *image;
    gemlet_error *error;
} listener;

static void print(const char *text) {
    gemlet_semihosting_print(text, strlen(text));
}

static void print_number(uint64_t number, unsigned base) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    gemlet_semihosting_print(digits + at, sizeof digits - at);
}

/* start.S comes here with any exception: ESR_EL1, ELR_EL1 and FAR_EL1. */
void board_fault(uint64_t syndrome, uint64_t link, uint64_t address);
void board_fault(uint64_t syndrome, uint64_t link, uint64_t address) {
    print("exception: ESR ");
    print_number(syndrome, 16);
    print(", at ");
    print_number(link, 16);
    print(", address ");
    print_number(address, 16);
    print("\n");
    gemlet_semihosting_exit(EXIT_FAULT);
}

/* ---- The command line ---- */

/* Cuts the next word off `*rest`. */
static const char *next_word(char **rest) {
    char *word = *rest;
    char *end = word;
    while (*end != ' ' && *end != '\0') {
        end++;
    }
    *rest = *end == ' ' ? end + 1 : end;
    *end = '\0';
    return word;
}

/* A whole number at the beginning of `text`, 0 where there is none or it is above 1e8; `*end` is where it ends. */
static uint32_t read_number(const char *text, const char **end) {
    uint32_t number = 0;
    for (; *text >= '0' && *text <= '9' && number <= 10000000; text++) {
        number = number * 10 + (uint32_t)(*text - '0');
    }
    *end = text;
    return number;
}

static gemlet_status parse(char *line, arguments *a, gemlet_error *error) {
    char *rest = line;
    (void)next_word(&rest); /* the program's name */
    a->model = next_word(&rest);
    a->picture = next_word(&rest);
    const char *tokens = next_word(&rest);
    a->tokens = read_number(tokens, &tokens);
    a->prompt = rest;
    if (a->tokens == 0 || *tokens != '\0') {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "expected the command line: describe MODEL PICTURE TOKENS PROMPT...");
    }
    return GEMLET_OK;
}

/* ---- Memory: what lies behind the program, handed out once ---- */

typedef struct memory {
    unsigned char *free;
    size_t bytes;
} memory;

static void *take(memory *m, size_t bytes, const char *what, gemlet_error *error) {
    size_t rounded = (bytes + GEMLET_ALIGNMENT - 1) / GEMLET_ALIGNMENT * GEMLET_ALIGNMENT;
    if (rounded > m->bytes) {
        gemlet_fail(error, GEMLET_ERROR_MEMORY, what);
        gemlet_error_text(error, " takes ");
        gemlet_error_number(error, bytes);
        gemlet_error_text(error, " bytes, but there are ");
        gemlet_error_number(error, m->bytes);
        return NULL;
    }
    void *taken = m->free;
    m->free += rounded;
    m->bytes -= rounded;
    return taken;
}

/* ---- The picture ---- */

/* "P6 width height 255" and one white space; answers the bytes of the header, 0 where it is none. */
static size_t read_header(const char *header, gemlet_image *image) {
    const char *at = header + 2;
    uint32_t numbers[3];
    for (size_t i = 0; i < 3; i++) {
        if (*at != ' ' && *at != '\n') {
            return 0;
        }
        numbers[i] = read_number(at + 1, &at);
    }
    bool fits = numbers[0] > 0 && numbers[0] <= GEMLET_LARGEST_IMAGE && numbers[1] > 0 && numbers[1] <= GEMLET_LARGEST_IMAGE;
    if (memcmp(header, "P6", 2) != 0 || (*at != ' ' && *at != '\n') || numbers[2] != 255 || !fits) {
        return 0;
    }
    *image = (gemlet_image){
        .format = GEMLET_PIXELS_RGB, .width = numbers[0], .height = numbers[1], .stride = (size_t)numbers[0] * CHANNELS};
    return (size_t)(at + 1 - header);
}

static gemlet_status read_pixels(const gemlet_port *port, gemlet_file *file, memory *m, gemlet_image *image, gemlet_error *error) {
    char header[HEADER_BYTES + 1] = "";
    int64_t found = port->read_at(port->context, file, 0, header, HEADER_BYTES);
    size_t offset = found > 2 ? read_header(header, image) : 0;
    if (offset == 0) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the picture is no binary PPM file (P6) of bytes");
    }
    size_t bytes = image->stride * image->height;
    unsigned char *pixels = take(m, bytes, "the picture", error);
    if (pixels == NULL) {
        return GEMLET_ERROR_MEMORY;
    }
    image->pixels = pixels;
    if (port->read_at(port->context, file, offset, pixels, bytes) != (int64_t)bytes) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the picture is cut");
    }
    return GEMLET_OK;
}

static gemlet_status read_picture(const gemlet_port *port, const char *path, memory *m, gemlet_image *image, gemlet_error *error) {
    gemlet_file *file = port->open(port->context, path);
    if (file == NULL) {
        gemlet_fail(error, GEMLET_ERROR_IO, path);
        gemlet_error_text(error, " can't be opened");
        return GEMLET_ERROR_IO;
    }
    gemlet_status status = read_pixels(port, file, m, image, error);
    port->close(port->context, file);
    return status;
}

/* ---- Prompt in ---- */

static gemlet_status feed_tokens(void *context, const uint32_t *tokens, size_t count) {
    listener *l = context;
    gemlet_sampler_remember(&l->sampler, tokens, count);
    return gemlet_feed(l->session, tokens, count, l->error);
}

static gemlet_status feed_segment(void *context, const gemlet_segment *segment) {
    listener *l = context;
    if (segment->type == GEMLET_SEGMENT_TEXT) {
        return gemlet_encoder_feed(&l->encoder, segment->text, segment->bytes, l->error);
    }
    gemlet_status status = gemlet_encoder_finish(&l->encoder, l->error);
    if (status == GEMLET_OK && segment->type == GEMLET_SEGMENT_IMAGE) {
        const float *soft_tokens;
        size_t count;
        status = gemlet_encode_image(l->session, l->image, &soft_tokens, &count, l->error);
        return status == GEMLET_OK ? gemlet_feed_embeddings(l->session, soft_tokens, count, l->error) : status;
    }
    const uint32_t id = gemlet_tokenizer_special(l->tokenizer, segment->special);
    return status == GEMLET_OK ? feed_tokens(l, &id, 1) : status;
}

static gemlet_status feed_prompt(listener *l, memory *m, const char *prompt) {
    const gemlet_message_part parts[] = {{GEMLET_PART_IMAGE, NULL, 0}, {GEMLET_PART_TEXT, prompt, strlen(prompt)}};
    const gemlet_message message = {GEMLET_ROLE_USER, parts, sizeof parts / sizeof *parts};
    const gemlet_chat_options whole = {.bos = true, .generation_prompt = true};
    void *scratch = take(m, GEMLET_ENCODER_BYTES, "the tokenizer", l->error);
    if (scratch == NULL) {
        return GEMLET_ERROR_MEMORY;
    }
    gemlet_status status =
        gemlet_encoder_begin(&l->encoder, l->tokenizer, GEMLET_TEXT_PLAIN, scratch, GEMLET_ENCODER_BYTES, feed_tokens, l, l->error);
    if (status == GEMLET_OK) {
        status = gemlet_chat_render(l->format, &message, 1, whole, feed_segment, l, l->error);
    }
    return status == GEMLET_OK ? gemlet_encoder_finish(&l->encoder, l->error) : status;
}

/* ---- Text out ---- */

static gemlet_status print_answer(listener *l, uint32_t most) {
    gemlet_decoder decoder;
    const char *text;
    size_t bytes;
    gemlet_decoder_begin(&decoder, l->tokenizer, false);
    for (uint32_t i = 0; i < most; i++) {
        uint32_t token;
        gemlet_status status = gemlet_sampler_next(&l->sampler, l->session, &token, l->error);
        if (status == GEMLET_OK && gemlet_chat_is_end(l->format, l->tokenizer, token)) {
            break;
        }
        if (status == GEMLET_OK) {
            status = gemlet_decoder_feed(&decoder, token, &text, &bytes);
        }
        if (status != GEMLET_OK) {
            return status;
        }
        gemlet_semihosting_print(text, bytes);
        status = i + 1 < most ? gemlet_feed(l->session, &token, 1, l->error) : GEMLET_OK;
        if (status != GEMLET_OK) {
            return status;
        }
    }
    gemlet_decoder_flush(&decoder, &text, &bytes);
    gemlet_semihosting_print(text, bytes);
    print("\n");
    return GEMLET_OK;
}

/* ---- All of it ---- */

static gemlet_status open_sampler(listener *l, memory *m, uint32_t vocabulary) {
    gemlet_sampler_settings settings = gemlet_sampler_defaults();
    settings.temperature = 0;
    size_t bytes = gemlet_sampler_bytes(&settings, vocabulary);
    void *scratch = take(m, bytes, "the sampler", l->error);
    return scratch != NULL ? gemlet_sampler_open(&l->sampler, &settings, vocabulary, scratch, bytes, l->error)
                           : GEMLET_ERROR_MEMORY;
}

static void print_memory(const gemlet_memory_plan *plan, const gemlet_arena *arena, const char *level) {
    size_t unused = 0;
    const size_t stack = bytes_between(board_stack_start, board_stack_end);
    while (unused < stack && board_stack_start[unused] == BOARD_STACK_PAINT_BYTE) {
        unused++;
    }
    print("level ");
    print(level);
    print("; arena of ");
    print_number(plan->arena, 10);
    print(arena->peak == plan->arena ? " bytes used as planned" : " bytes not used as planned");
    print("; stack ");
    print_number(stack - unused, 10);
    print(" bytes at most\n");
}

static gemlet_status describe(const gemlet_port *port, const arguments *a, memory *m, gemlet_error *error) {
    const gemlet_options options = {.context = 0};
    static gemlet_memory_plan plan; /* a stack may be small */
    gemlet_image image;
    gemlet_arena arena;
    gemlet_model *model = NULL;
    listener l = {.image = &image, .error = error};
    gemlet_status status = read_picture(port, a->picture, m, &image, error);
    if (status == GEMLET_OK) {
        status = gemlet_plan(port, a->model, &options, &plan, error);
    }
    void *buffer = status == GEMLET_OK ? take(m, plan.arena, "the model", error) : NULL;
    if (buffer == NULL) {
        return error->status;
    }
    status = gemlet_arena_init(&arena, buffer, plan.arena, error);
    if (status == GEMLET_OK) {
        status = gemlet_model_open(port, a->model, &options, &arena, &model, error);
    }
    if (status != GEMLET_OK) {
        return status;
    }
    const gemlet_facts facts = gemlet_model_facts(model);
    l.format = gemlet_model_chat(model);
    l.tokenizer = gemlet_model_tokenizer(model);
    status = gemlet_session_open(model, &options, &arena, &l.session, error);
    if (status == GEMLET_OK) {
        status = open_sampler(&l, m, facts.vocabulary);
    }
    if (status == GEMLET_OK) {
        status = feed_prompt(&l, m, a->prompt);
    }
    if (status == GEMLET_OK) {
        status = print_answer(&l, a->tokens);
    }
    if (status == GEMLET_OK) {
        print_memory(&plan, &arena, facts.level);
    }
    gemlet_model_close(model);
    return status;
}

int main(void) {
    static char line[LINE_BYTES];
    gemlet_semihosting board;
    gemlet_port port;
    gemlet_error error = {GEMLET_OK, ""};
    arguments a;
    memory m = {board_memory_start, bytes_between(board_memory_start, board_memory_end)};
    gemlet_semihosting_open(&board, &port);
    if (!gemlet_semihosting_command_line(line, sizeof line)) {
        gemlet_fail(&error, GEMLET_ERROR_ARGUMENT, "the debugger hands over no command line, or one above 1,023 bytes");
    } else if (parse(line, &a, &error) == GEMLET_OK) {
        (void)describe(&port, &a, &m, &error);
    }
    if (error.status == GEMLET_OK) {
        return 0;
    }
    print("describe: ");
    print(gemlet_status_text(error.status));
    print(": ");
    print(error.message);
    print("\n");
    return EXIT_FAILED;
}
