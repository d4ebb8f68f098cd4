/* Lays itself before the C library's clock: the wall clock is off by as many seconds as the file named in CLOCK_STEP says.
   All other clocks stay as they are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    const char *path = getenv("CLOCK_STEP");
    if (result != 0 || clock != CLOCK_REALTIME || path == NULL) {
        return result;
    }
    char text[32] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) {
            time->tv_sec += atoll(text);
        }
        close(file);
    }
    return result;
}
