/* Preloaded (LD_PRELOAD): a disk that is full for some files.

   CONVOY_FULL_DISK_FILE   part of the names that are concerned, e.g. ".h5.part."
   CONVOY_FULL_DISK_FROM   writes that touch this byte or a later one fail with ENOSPC
   CONVOY_FULL_DISK_RANK   only on this rank of mpirun (unset: on all)
   CONVOY_FULL_DISK_QUIET  reservations succeed although writes fail, as on file systems that cannot reserve */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int file, off_t offset, size_t count) {
    const char* name = getenv("CONVOY_FULL_DISK_FILE");
    const char* from = getenv("CONVOY_FULL_DISK_FROM");
    const char* only = getenv("CONVOY_FULL_DISK_RANK");
    const char* rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!name || !from || file <= 2 || count == 0) return 0;
    if (only && rank && strcmp(only, rank) != 0) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, name) != NULL && offset + (off_t)count > (off_t)atoll(from);
}

static size_t total(const struct iovec* pieces, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; ++i) sum += pieces[i].iov_len;
    return sum;
}

static off_t position(int file) { return lseek(file, 0, SEEK_CUR); }

#define REAL(name)                                                        \
    static __typeof__(&name) real;                                        \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL_IF_FULL(file, offset, count)  \
    if (is_full(file, offset, count)) {    \
        errno = ENOSPC;                    \
        return -1;                         \
    }

ssize_t write(int file, const void* data, size_t count) {
    REAL(write);
    FAIL_IF_FULL(file, position(file), count)
    return real(file, data, count);
}
ssize_t writev(int file, const struct iovec* pieces, int count) {
    REAL(writev);
    FAIL_IF_FULL(file, position(file), total(pieces, count))
    return real(file, pieces, count);
}
ssize_t pwrite(int file, const void* data, size_t count, off_t offset) {
    REAL(pwrite);
    FAIL_IF_FULL(file, offset, count)
    return real(file, data, count, offset);
}
ssize_t pwrite64(int file, const void* data, size_t count, off64_t offset) {
    REAL(pwrite64);
    FAIL_IF_FULL(file, offset, count)
    return real(file, data, count, offset);
}
ssize_t pwritev(int file, const struct iovec* pieces, int count, off_t offset) {
    REAL(pwritev);
    FAIL_IF_FULL(file, offset, total(pieces, count))
    return real(file, pieces, count, offset);
}
ssize_t pwritev64(int file, const struct iovec* pieces, int count, off64_t offset) {
    REAL(pwritev64);
    FAIL_IF_FULL(file, offset, total(pieces, count))
    return real(file, pieces, count, offset);
}
int posix_fallocate(int file, off_t offset, off_t count) {
    REAL(posix_fallocate);
    if (!getenv("CONVOY_FULL_DISK_QUIET") && is_full(file, offset, (size_t)count)) return ENOSPC;
    return real(file, offset, count);
}
int posix_fallocate64(int file, off64_t offset, off64_t count) {
    REAL(posix_fallocate64);
    if (!getenv("CONVOY_FULL_DISK_QUIET") && is_full(file, offset, (size_t)count)) return ENOSPC;
    return real(file, offset, count);
}
