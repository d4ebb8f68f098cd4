/* Lays itself before the C library's calls that need room on a disk: as long as the file named in DISK_FULL is there, the
   folder named in DISK_FOLDER is on a disk whose every block is taken. What has its blocks can be written over. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int is_full(int file) {
    const char *folder = getenv("DISK_FOLDER"), *full = getenv("DISK_FULL");
    char link[64], path[PATH_MAX] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    return folder != NULL && full != NULL && readlink(link, path, sizeof path - 1) > 0 &&
           strncmp(path, folder, strlen(folder)) == 0 && access(full, F_OK) == 0;
}

static int needs_room(int file, off64_t offset, off64_t bytes) {
    return lseek64(file, offset, SEEK_HOLE) < offset + bytes;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if (is_full(file) && needs_room(file, offset, (off64_t)count)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, bytes, count, offset);
}

int fallocate64(int file, int mode, off64_t offset, off64_t bytes) {
    int (*real)(int, int, off64_t, off64_t) = (int (*)(int, int, off64_t, off64_t))dlsym(RTLD_NEXT, "fallocate64");
    if (is_full(file) && needs_room(file, offset, bytes)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, mode, offset, bytes);
}

int fallocate(int file, int mode, off_t offset, off_t bytes) {
    return fallocate64(file, mode, offset, bytes);
}

int fstatvfs(int file, struct statvfs *about) {
    int (*real)(int, struct statvfs *) = (int (*)(int, struct statvfs *))dlsym(RTLD_NEXT, "fstatvfs");
    int result = real(file, about);
    if (result == 0 && is_full(file)) {
        about->f_bfree = about->f_bavail = 0;
    }
    return result;
}
