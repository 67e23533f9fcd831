// Records what a process asks of the disk below a folder, and makes such calls fail. Preloaded into the process; read
// by crash.py.
//
//   CODEWORD_RECORD_BELOW   folder: calls on it and on what is below are recorded
//   CODEWORD_RECORD_TO      file that gets a line for each call that succeeded, the bytes of a write after its line
//   fail_at(n, error)       the n-th such call from now on fails with errno `error`; where that is ENOSPC, so do all
//   later ones that
//                           take room, until fail_at(0, 0). Returns how many there were since it was called last.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { kFiles = 4096 };
static char watched[kFiles];
static int counted, failing, failure;

static const char* below(void) { return getenv("CODEWORD_RECORD_BELOW"); }

static int is_below(const char* path) {
  const char* folder = below();
  size_t length = folder ? strlen(folder) : 0;
  return length && !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

static int is_watched(int fd) { return fd >= 0 && fd < kFiles && watched[fd]; }

static void put(const void* data, size_t size) {
  static ssize_t (*real)(int, const void*, size_t);
  static int log = -1;
  if (!real) real = (ssize_t (*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (log < 0) {
    int (*open_real)(const char*, int, ...) = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
    const char* path = getenv("CODEWORD_RECORD_TO");
    log = open_real(path ? path : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  while (size) {
    ssize_t done = real(log, data, size);
    if (done <= 0) abort();
    data = (const char*)data + done;
    size -= (size_t)done;
  }
}

static void record(const char* form, ...) {
  char line[8192];
  va_list arguments;
  va_start(arguments, form);
  int size = vsnprintf(line, sizeof line, form, arguments);
  va_end(arguments);
  if (size < 0 || size >= (int)sizeof line) abort();
  put(line, (size_t)size);
}

// Whether this call is to fail; `room`: it takes room on the disk.
static int fails(int room) {
  ++counted;
  if (!failing || counted < failing || (counted > failing && !(failure == ENOSPC && room))) return 0;
  errno = failure;
  return 1;
}

int fail_at(int n, int error) {
  int before = counted;
  counted = 0;
  failing = n;
  failure = error;
  return before;
}

#define REAL(type, name, ...) type (*real)(__VA_ARGS__) = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int opened(const char* name, const char* path, int flags, mode_t mode) {
  REAL(int, name, const char*, int, ...);
  int mine = is_below(path);
  if (mine && fails(flags & O_CREAT)) return -1;
  int fd = real(path, flags, mode);
  if (fd >= 0 && fd < kFiles) watched[fd] = (char)mine;
  if (fd >= 0 && mine) record("open %d %d %s\n", fd, flags & O_ACCMODE, path);
  return fd;
}

static mode_t mode_of(int flags, va_list arguments) { return flags & O_CREAT ? va_arg(arguments, mode_t) : 0; }

#define OPEN(name)                             \
  int name(const char* path, int flags, ...) { \
    va_list arguments;                         \
    va_start(arguments, flags);                \
    mode_t mode = mode_of(flags, arguments);   \
    va_end(arguments);                         \
    return opened(#name, path, flags, mode);   \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  REAL(int, "close", int);
  if (is_watched(fd)) {
    record("close %d\n", fd);
    watched[fd] = 0;
  }
  return real(fd);
}

ssize_t write(int fd, const void* data, size_t size) {
  REAL(ssize_t, "write", int, const void*, size_t);
  if (!is_watched(fd)) return real(fd, data, size);
  if (fails(1)) {
    if (failure != ENOSPC || counted != failing || size < 2) return -1;
    size /= 2;  // the disk takes what there is room for
  }
  ssize_t done = real(fd, data, size);
  if (done > 0) {
    record("write %d %zd\n", fd, done);
    put(data, (size_t)done);
  }
  return done;
}

#define OF_FILE(name, what)                \
  int name(int fd) {                       \
    REAL(int, #name, int);                 \
    if (!is_watched(fd)) return real(fd);  \
    if (fails(0)) return -1;               \
    int result = real(fd);                 \
    if (!result) record(what " %d\n", fd); \
    return result;                         \
  }
OF_FILE(fsync, "fsync")
OF_FILE(fdatasync, "fsync")

int ftruncate64(int fd, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t);
  if (is_watched(fd)) record("truncate %d %lld\n", fd, (long long)size);
  return real(fd, size);
}

#define OF_PATHS(name, room)                                     \
  int name(const char* old, const char* new) {                   \
    REAL(int, #name, const char*, const char*);                  \
    if (!is_below(old) && !is_below(new)) return real(old, new); \
    if (fails(room)) return -1;                                  \
    int result = real(old, new);                                 \
    if (!result) record(#name " %s\t%s\n", old, new);            \
    return result;                                               \
  }
OF_PATHS(rename, 0)
OF_PATHS(link, 1)

int linkat(int from, const char* old, int to, const char* new, int flags) {
  REAL(int, "linkat", int, const char*, int, const char*, int);
  if (from == AT_FDCWD && to == AT_FDCWD && (is_below(old) || is_below(new))) return link(old, new);
  return real(from, old, to, new, flags);
}

int unlink(const char* path) {
  REAL(int, "unlink", const char*);
  if (!is_below(path)) return real(path);
  if (fails(0)) return -1;
  int result = real(path);
  if (!result) record("unlink %s\n", path);
  return result;
}

int mkdir(const char* path, mode_t mode) {
  REAL(int, "mkdir", const char*, mode_t);
  if (!is_below(path)) return real(path, mode);
  if (fails(1)) return -1;
  int result = real(path, mode);
  if (!result) record("mkdir %s\n", path);
  return result;
}
