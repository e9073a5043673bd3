#include <gemlet/semihosting.h>

#include <string.h>

/* Operations of "Semihosting for AArch32 and AArch64" (Arm, 2.0), section 6. */
enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITEC = 0x03,
    SYS_WRITE0 = 0x04,
    SYS_READ = 0x06,
    SYS_SEEK = 0x0A,
    SYS_FLEN = 0x0C,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT = 0x18,
    OPEN_READ_BINARY = 1,
    STOPPED_APPLICATION_EXIT = 0x20026,
};

/* W0 holds the operation, X1 the address of its arguments; X0 answers. */
static int64_t call(uint32_t operation, const void *arguments) {
    register uint64_t x0 __asm__("x0") = operation;
    register const void *x1 __asm__("x1") = arguments;
    __asm__ volatile("hlt #0xF000" : "+r"(x0) : "r"(x1) : "memory");
    return (int64_t)x0;
}

static uint64_t address_of(const void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}

static gemlet_file *open_file(void *context, const char *path) {
    gemlet_semihosting *board = context;
    for (size_t i = 0; i < GEMLET_SEMIHOSTING_FILES; i++) {
        if (!board->files[i].used) {
            const uint64_t arguments[] = {address_of(path), OPEN_READ_BINARY, strlen(path)};
            int64_t handle = call(SYS_OPEN, arguments);
            if (handle == -1) {
                return NULL;
            }
            board->files[i] = (struct gemlet_file){.handle = handle, .used = true};
            return &board->files[i];
        }
    }
    return NULL;
}

static bool file_size(void *context, gemlet_file *file, uint64_t *size) {
    (void)context;
    const uint64_t arguments[] = {(uint64_t)file->handle};
    int64_t answer = call(SYS_FLEN, arguments);
    if (answer < 0) {
        return false;
    }
    *size = (uint64_t)answer;
    return true;
}

static const void *map_file(void *context, gemlet_file *file, uint64_t offset, size_t length) {
    (void)context;
    (void)file;
    (void)offset;
    (void)length;
    return NULL;
}

static int64_t read_file(void *context, gemlet_file *file, uint64_t offset, void *buffer, size_t length) {
    /* Seeking beyond the end is undefined in the specification. */
    uint64_t size = 0;
    if (!file_size(context, file, &size)) {
        return -1;
    }
    if (offset >= size) {
        return 0;
    }
    if (length > size - offset) {
        length = (size_t)(size - offset);
    }
    if (offset != file->position) {
        const uint64_t arguments[] = {(uint64_t)file->handle, offset};
        if (call(SYS_SEEK, arguments) != 0) {
            return -1;
        }
        file->position = offset;
    }
    size_t done = 0;
    while (done < length) {
        const uint64_t arguments[] = {(uint64_t)file->handle, address_of(buffer) + done, length - done};
        int64_t missing = call(SYS_READ, arguments); /* how many bytes were not read */
        if (missing < 0 || (uint64_t)missing > length - done) {
            file->position = UINT64_MAX; /* unknown: the next read seeks */
            return -1;
        }
        if ((uint64_t)missing == length - done) {
            break;
        }
        done = length - (size_t)missing;
    }
    file->position = offset + done;
    return (int64_t)done;
}

static void close_file(void *context, gemlet_file *file) {
    (void)context;
    const uint64_t arguments[] = {(uint64_t)file->handle};
    (void)call(SYS_CLOSE, arguments);
    file->used = false;
}

/* The generic timer; a start-up code that has not set its frequency gets a port without a clock. */
static uint64_t now(void *context) {
    (void)context;
    uint64_t ticks = 0;
    uint64_t frequency = 0;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tmrs %1, cntfrq_el0" : "=r"(ticks), "=r"(frequency));
    /* cppcheck-suppress knownConditionTrueFalse ; cppcheck does not see that the assembly writes */
    if (frequency == 0) {
        return 0;
    }
    const uint64_t second = UINT64_C(1000000000);
    /* cppcheck-suppress duplicateExpression ; likewise */
    return ticks / frequency * second + ticks % frequency * second / frequency;
}

static void run_tasks(void *context, gemlet_task task, void *argument, size_t count) {
    (void)context;
    for (size_t i = 0; i < count; i++) {
        task(argument, i);
    }
}

static size_t thread_count(void *context) {
    (void)context;
    return 1;
}

uint32_t gemlet_semihosting_cpu_features(void) {
    uint64_t isar0 = 0;
    uint64_t isar1 = 0;
    uint64_t pfr0 = 0;
    __asm__("mrs %0, id_aa64isar0_el1" : "=r"(isar0));
    __asm__("mrs %0, id_aa64isar1_el1" : "=r"(isar1));
    __asm__("mrs %0, id_aa64pfr0_el1" : "=r"(pfr0));
    uint32_t features = 0;
    if ((pfr0 >> 20 & 15) != 15) { /* AdvSIMD: 15 means absent */
        features |= GEMLET_CPU_NEON;
    }
    if ((isar0 >> 44 & 15) != 0) { /* DP */
        features |= GEMLET_CPU_DOTPROD;
    }
    if ((isar1 >> 52 & 15) != 0) { /* I8MM */
        features |= GEMLET_CPU_I8MM;
    }
    return features;
}

static uint32_t cpu_features(void *context) {
    (void)context;
    return gemlet_semihosting_cpu_features();
}

static void log_line(void *context, const char *text) {
    (void)context;
    (void)call(SYS_WRITE0, text);
    (void)call(SYS_WRITE0, "\n");
}

void gemlet_semihosting_open(gemlet_semihosting *board, gemlet_port *port) {
    memset(board, 0, sizeof *board);
    *port = (gemlet_port){
        .context = board,
        .open = open_file,
        .size = file_size,
        .map = map_file,
        .read_at = read_file,
        .close = close_file,
        .time = now,
        .run_tasks = run_tasks,
        .thread_count = thread_count,
        .cpu_features = cpu_features,
        .log = log_line,
    };
}

void gemlet_semihosting_print(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        (void)call(SYS_WRITEC, text + i);
    }
}

bool gemlet_semihosting_command_line(char *line, size_t bytes) {
    const uint64_t arguments[] = {address_of(line), bytes};
    return call(SYS_GET_CMDLINE, arguments) == 0;
}

void gemlet_semihosting_exit(int code) {
    const uint64_t arguments[] = {STOPPED_APPLICATION_EXIT, (uint64_t)(int64_t)code};
    for (;;) {
        (void)call(SYS_EXIT, arguments);
    }
}
