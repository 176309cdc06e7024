/* Preloaded into a daemon: while the file $FAULT_SWITCH exists, everything that is written below
 * $FAULT_UNDER fails with the error number that the file holds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int refused(int fd)
{
    const char *under = getenv("FAULT_UNDER"), *name = getenv("FAULT_SWITCH");
    char link[64], path[PATH_MAX], text[16];
    int before = errno, number = 0, file;
    ssize_t size;

    if (under == NULL || name == NULL || access(name, F_OK) != 0) {
        errno = before;
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    if (strncmp(path, under, strlen(under)) == 0 && (file = open(name, O_RDONLY)) >= 0) {
        size = read(file, text, sizeof text - 1);
        text[size > 0 ? size : 0] = 0;
        number = atoi(text);
        close(file);
    }
    errno = number != 0 ? number : before;
    return number != 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
    return refused(fd) ? -1 : REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return refused(fd) ? -1 : REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return refused(fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}

int fsync(int fd)
{
    return refused(fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return refused(fd) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t size)
{
    return refused(fd) ? -1 : REAL(ftruncate64)(fd, size);
}
