#include "tests/support/fault_port.h"

/* Counts a call and answers whether it is one that fails. */
static bool is_hit(fault_port *fault) {
    fault->calls++;
    return fault->fail_call != 0 &&
           (fault->calls == fault->fail_call || (fault->fail_every_later && fault->calls > fault->fail_call));
}

static bool fails(fault_port *fault) {
    bool hit = is_hit(fault);
    fault->injected += hit;
    return hit;
}

static gemlet_file *open_file(void *context, const char *path) {
    fault_port *fault = context;
    if (fails(fault)) {
        return NULL;
    }
    gemlet_file *file = fault->below.open(fault->below.context, path);
    fault->open_files += file != NULL;
    return file;
}

static bool below_size(fault_port *fault, gemlet_file *file, uint64_t *size) {
    return fault->below.size(fault->below.context, file, size);
}

static bool file_size(void *context, gemlet_file *file, uint64_t *size) {
    fault_port *fault = context;
    if (fails(fault) || !below_size(fault, file, size)) {
        return false;
    }
    if (fault->truncated && !fault->size_lies && *size > fault->truncated_size) {
        *size = fault->truncated_size;
    }
    *size += fault->added_size;
    return true;
}

static const void *map_file(void *context, gemlet_file *file, uint64_t offset, size_t length) {
    fault_port *fault = context;
    if (is_hit(fault) || fault->refuse_map) {
        fault->refused_maps++;
        return NULL;
    }
    if (fault->truncated && (offset > fault->truncated_size || length > fault->truncated_size - offset)) {
        return NULL;
    }
    return fault->below.map(fault->below.context, file, offset, length);
}

static int64_t read_file(void *context, gemlet_file *file, uint64_t offset, void *buffer, size_t length) {
    fault_port *fault = context;
    if (fails(fault)) {
        return -1;
    }
    if (fault->truncated) {
        uint64_t left = offset < fault->truncated_size ? fault->truncated_size - offset : 0;
        length = length < left ? length : (size_t)left;
    }
    if (fault->read_at_most != 0 && length > fault->read_at_most) {
        length = fault->read_at_most;
    }
    if (fault->short_call != 0 && fault->calls == fault->short_call && length > 0) {
        length--;
        fault->injected++;
    }
    int64_t got = fault->below.read_at(fault->below.context, file, offset, buffer, length);
    fault->bytes_read += got > 0 ? (uint64_t)got : 0;
    return got;
}

static void close_file(void *context, gemlet_file *file) {
    fault_port *fault = context;
    fault->open_files--;
    fault->below.close(fault->below.context, file);
}

static uint64_t now(void *context) {
    fault_port *fault = context;
    fault->times++;
    return fault->time_runs_back ? UINT64_MAX - fault->times * UINT64_C(1000000000) : fault->below.time(fault->below.context);
}

static void run_tasks(void *context, gemlet_task task, void *argument, size_t count) {
    fault_port *fault = context;
    fault->task_runs++;
    switch (fault->order) {
    case FAULT_ORDER_BELOW: fault->below.run_tasks(fault->below.context, task, argument, count); break;
    case FAULT_ORDER_FORWARD:
        for (size_t i = 0; i < count; i++) {
            task(argument, i);
        }
        break;
    case FAULT_ORDER_BACKWARD:
        for (size_t i = count; i > 0; i--) {
            task(argument, i - 1);
        }
        break;
    case FAULT_ORDER_ODD_FIRST:
        for (size_t i = 0; i < count; i++) {
            task(argument, i < count / 2 ? 2 * i + 1 : 2 * (i - count / 2));
        }
        break;
    }
}

static size_t thread_count(void *context) {
    fault_port *fault = context;
    return fault->claimed_threads != 0 ? (size_t)fault->claimed_threads : fault->below.thread_count(fault->below.context);
}

static uint32_t cpu_features(void *context) {
    fault_port *fault = context;
    return fault->below.cpu_features(fault->below.context);
}

static void log_line(void *context, const char *text) {
    fault_port *fault = context;
    if (fault->below.log != NULL) {
        fault->below.log(fault->below.context, text);
    }
}

static void reason(void *context, char *text, size_t bytes) {
    fault_port *fault = context;
    text[0] = '\0';
    if (fault->below.reason != NULL) {
        fault->below.reason(fault->below.context, text, bytes);
    }
}

void fault_port_open(fault_port *fault, const gemlet_port *below, gemlet_port *port) {
    *fault = (fault_port){.below = *below};
    *port = (gemlet_port){
        .context = fault,
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
        .reason = reason,
    };
}
