#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "examples/camera/v4l2.h"

static int call_open(void *context, const char *path) {
    (void)context;
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

/* POSIX and musl have an int, glibc a longer number. */
#ifdef __GLIBC__
typedef unsigned long control_request;
#else
typedef int control_request;
#endif

static int call_control(void *context, int device, unsigned long request, void *argument) {
    (void)context;
    return ioctl(device, (control_request)request, argument);
}

static void *call_map(void *context, int device, size_t bytes, int64_t offset) {
    (void)context;
    void *address = mmap(NULL, bytes, PROT_READ, MAP_SHARED, device, (off_t)offset);
    return address != MAP_FAILED ? address : NULL;
}

static void call_unmap(void *context, void *address, size_t bytes) {
    (void)context;
    munmap(address, bytes);
}

static int call_poll(void *context, int device, int milliseconds) {
    (void)context;
    struct pollfd what = {.fd = device, .events = POLLIN};
    int ready = poll(&what, 1, milliseconds);
    if (ready > 0 && (what.revents & POLLIN) == 0) {
        errno = ENODEV;
        return -1;
    }
    return ready;
}

static void call_close(void *context, int device) {
    (void)context;
    close(device);
}

static void call_sleep(void *context, int milliseconds) {
    (void)context;
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

const v4l2_calls v4l2_system = {NULL, call_open, call_control, call_map, call_unmap, call_poll, call_close, call_sleep};
