/* Loaded before the C library (LD_PRELOAD): one system call on a file of the watched folder fails, once.

   `faults_arm` names the folder, which call it is, counted from 1, and the error; a write that fails may have
   written half. Everything above runs as it is shipped. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char watched[PATH_MAX], failed[16];
static atomic_long calls, fails_at;
static int error_number, writes_half;

void faults_arm(const char *folder, long at, int number, int half) {
  strncpy(watched, folder, PATH_MAX - 1);
  failed[0] = 0;
  error_number = number;
  writes_half = half;
  fails_at = at;
  calls = 0;
}

void faults_disarm(void) { watched[0] = 0; }
long faults_calls(void) { return calls; }
const char *faults_failed(void) { return failed; }

static int due(const char *path, const char *call) {
  if (!watched[0] || strncmp(path, watched, strlen(watched))) return 0;
  if (atomic_fetch_add(&calls, 1) + 1 != fails_at) return 0;
  strncpy(failed, call, sizeof failed - 1);
  errno = error_number;
  return 1;
}

static int due_at(int fd, const char *call) {
  char link[64], path[PATH_MAX];
  if (!watched[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return due(path, call);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAILS(name, result, parameters, arguments, due_now) \
  result name parameters { return due_now ? -1 : REAL(name) arguments; }

FAILS(pread64, ssize_t, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), due_at(fd, "read"))
FAILS(read, ssize_t, (int fd, void *to, size_t n), (fd, to, n), due_at(fd, "read"))
FAILS(fsync, int, (int fd), (fd), due_at(fd, "sync"))
FAILS(fdatasync, int, (int fd), (fd), due_at(fd, "sync"))
FAILS(ftruncate64, int, (int fd, off64_t size), (fd, size), due_at(fd, "truncate"))
FAILS(unlink, int, (const char *path), (path), due(path, "unlink"))
FAILS(rename, int, (const char *from, const char *to), (from, to), due(from, "rename"))
FAILS(mkdir, int, (const char *path, mode_t mode), (path, mode), due(path, "mkdir"))

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
  if (!due_at(fd, "write")) return REAL(pwrite64)(fd, from, n, at);
  if (writes_half) REAL(pwrite64)(fd, from, n / 2, at);
  errno = error_number;
  return -1;
}

ssize_t write(int fd, const void *from, size_t n) {
  if (!due_at(fd, "write")) return REAL(write)(fd, from, n);
  if (writes_half) REAL(write)(fd, from, n / 2);
  errno = error_number;
  return -1;
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
  static ssize_t (*real)(int, int, off64_t *, size_t);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sendfile64");
  return due_at(to, "write") ? -1 : real(to, from, at, n);
}

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return due(path, "open") ? -1 : REAL(open64)(path, flags, mode);
}
