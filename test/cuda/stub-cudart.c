/*
 * Stands in for the CUDA runtime: memory of the "device" is memory of the host, copies are copies, kernels do nothing. So everything but the
 * numbers is as on a device. Functions that are not here are made up by stubs.ts, and only say that all went well.
 *
 * SMELT_STUB_MEMORY   bytes the device has (80 GiB unless given); allocations beyond fail as on a device that is full
 * SMELT_STUB_DEVICES  devices there are (1 unless given), of which CUDA_VISIBLE_DEVICES hides some
 * SMELT_STUB_COPIES   copies that succeed (all unless given); after them the device is lost, as one is that has fallen off the bus
 * SMELT_STUB_LOG      file to which what is asked of the device is appended: `malloc BYTES`, `refuse BYTES` (no room), `free BYTES`, `pin BYTES`, `unpin BYTES`,
 *                     and `copy KIND BYTES`, of kind 1 to the device and 2 from it, with `pinned` behind it where the host's side is page-locked
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, LOST = 719 };
enum { INVALID_VALUE = 1, TO_DEVICE = 1, FROM_DEVICE = 2 };
enum { HEADER = 512, DEFAULT_GIB = 80, MOST_PINS = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t used;
static long copies;
static struct { const char *at; size_t bytes; } pins[MOST_PINS];
static _Thread_local int device;
static _Thread_local int last_error;

static size_t total(void) {
  const char *given = getenv("SMELT_STUB_MEMORY");
  return given ? strtoull(given, NULL, 10) : (size_t)DEFAULT_GIB << 30;
}

static int devices(void) {
  const char *given = getenv("SMELT_STUB_DEVICES"), *visible = getenv("CUDA_VISIBLE_DEVICES");
  int there = given ? atoi(given) : 1;
  if (!visible) return there;
  int seen = 0;
  for (const char *at = visible; *at;) {
    char *end;
    long index = strtol(at, &end, 10);
    if (end == at || index < 0 || index >= there) break;
    seen++;
    at = *end == ',' ? end + 1 : end;
  }
  return seen;
}

static void tell(const char *what, const char *kind, size_t bytes, const char *remark) {
  const char *path = getenv("SMELT_STUB_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (!log) return;
  char line[96];
  fwrite(line, 1, snprintf(line, sizeof line, "%s%s %zu%s\n", what, kind, bytes, remark), log);
  fclose(log);
}

static int answer(int code) {
  if (code) last_error = code;
  return code;
}

/* Blocks carry their size in front of them, so that what is freed can be counted. */
static int take(void **out, size_t bytes, int on_device) {
  pthread_mutex_lock(&lock);
  int full = on_device && used + bytes > total();
  if (!full && on_device) used += bytes;
  if (on_device) tell(full ? "refuse" : "malloc", "", bytes, "");
  pthread_mutex_unlock(&lock);
  char *block = full ? NULL : aligned_alloc(HEADER, HEADER + (bytes + HEADER - 1) / HEADER * HEADER);
  if (!block) return answer(OUT_OF_MEMORY);
  *(size_t *)block = on_device ? bytes : 0;
  *out = block + HEADER;
  return 0;
}

static int give_back(void *at) {
  if (!at) return 0;
  char *block = (char *)at - HEADER;
  pthread_mutex_lock(&lock);
  used -= *(size_t *)block;
  if (*(size_t *)block) tell("free", "", *(size_t *)block, "");
  pthread_mutex_unlock(&lock);
  free(block);
  return 0;
}

static int is_pinned(const char *at, size_t bytes) {
  for (int i = 0; i < MOST_PINS; i++) {
    if (pins[i].at && at >= pins[i].at && at + bytes <= pins[i].at + pins[i].bytes) return 1;
  }
  return 0;
}

static int copy(void *to, const void *from, size_t bytes, int kind) {
  const char *given = getenv("SMELT_STUB_COPIES");
  if (given && __atomic_add_fetch(&copies, 1, __ATOMIC_SEQ_CST) > atol(given)) return answer(LOST);
  memmove(to, from, bytes);
  const char *host = kind == TO_DEVICE ? from : kind == FROM_DEVICE ? to : NULL;
  pthread_mutex_lock(&lock);
  tell("copy ", kind == TO_DEVICE ? "1" : kind == FROM_DEVICE ? "2" : kind == 0 ? "0" : "3", bytes, host && is_pinned(host, bytes) ? " pinned" : "");
  pthread_mutex_unlock(&lock);
  return 0;
}

static int pin(const char *at, size_t bytes) {
  int code = OUT_OF_MEMORY;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < MOST_PINS && code; i++) {
    if (pins[i].at) continue;
    pins[i].at = at;
    pins[i].bytes = bytes;
    tell("pin", "", bytes, "");
    code = 0;
  }
  pthread_mutex_unlock(&lock);
  return answer(code);
}

static int unpin(const char *at) {
  int code = INVALID_VALUE;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < MOST_PINS && code; i++) {
    if (pins[i].at != at) continue;
    tell("unpin", "", pins[i].bytes, "");
    pins[i].at = NULL;
    code = 0;
  }
  pthread_mutex_unlock(&lock);
  return answer(code);
}

static int make(void **out) {
  *out = malloc(64);
  return 0;
}

int cudaGetDeviceCount(int *n) { return (*n = devices()) > 0 ? 0 : answer(NO_DEVICE); }
int cudaGetDevice(int *n) { return devices() > 0 ? (*n = device, 0) : answer(NO_DEVICE); }
int cudaSetDevice(int n) { return n >= 0 && n < devices() ? (device = n, 0) : answer(devices() > 0 ? INVALID_DEVICE : NO_DEVICE); }
int cudaDriverGetVersion(int *v) { return *v = 13000, 0; }
int cudaRuntimeGetVersion(int *v) { return *v = 13000, 0; }

int cudaGetDeviceProperties(char *p, int n) {
  if (n < 0 || n >= devices()) return answer(INVALID_DEVICE);
  memset(p, 0, 900);
  snprintf(p, 256, "Stub device %d", n);
  *(size_t *)(p + 288) = total();
  *(size_t *)(p + 296) = 49152;
  *(int *)(p + 304) = 65536;
  *(int *)(p + 308) = 32;
  *(int *)(p + 320) = 1024;
  *(int *)(p + 360) = 9;
  *(int *)(p + 384) = 132;
  return 0;
}

/* What the CUDA runtime calls its attributes 10, 16, 75 and 97: warp size, multiprocessors, compute capability, shared memory a block may ask for. */
int cudaDeviceGetAttribute(int *v, int attribute, int n) {
  *v = attribute == 10 ? 32 : attribute == 16 ? 132 : attribute == 75 ? 9 : attribute == 97 ? 232448 : 0;
  return n >= 0 && n < devices() ? 0 : answer(INVALID_DEVICE);
}

int cudaMemGetInfo(size_t *available, size_t *all) {
  *all = total();
  *available = used < *all ? *all - used : 0;
  return devices() > 0 ? 0 : answer(NO_DEVICE);
}

int cudaMalloc(void **out, size_t bytes) { return take(out, bytes, 1); }
int cudaMallocFromPoolAsync(void **out, size_t bytes, void *pool, void *stream) { return take(out, bytes, 1); }
int cudaMallocHost(void **out, size_t bytes) { return take(out, bytes, 0); }
int cudaHostAlloc(void **out, size_t bytes, unsigned flags) { return take(out, bytes, 0); }
int cudaFree(void *at) { return give_back(at); }
int cudaFreeAsync(void *at, void *stream) { return give_back(at); }
int cudaFreeHost(void *at) { return give_back(at); }
int cudaHostRegister(void *at, size_t bytes, unsigned flags) { return pin(at, bytes); }
int cudaHostUnregister(void *at) { return unpin(at); }

int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) { return copy(to, from, bytes, kind); }
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) { return copy(to, from, bytes, kind); }
int cudaStreamSynchronize(void *stream) { return tell("wait", "", 0, ""), 0; }
int cudaMemset(void *at, int value, size_t bytes) { return memset(at, value, bytes), 0; }
int cudaMemsetAsync(void *at, int value, size_t bytes, void *stream) { return memset(at, value, bytes), 0; }

int cudaStreamCreate(void **out) { return make(out); }
int cudaStreamCreateWithFlags(void **out) { return make(out); }
int cudaEventCreate(void **out) { return make(out); }
int cudaEventCreateWithFlags(void **out) { return make(out); }
int cudaMemPoolCreate(void **out) { return make(out); }
int cudaGraphInstantiate(void **out) { return make(out); }
int cudaStreamDestroy(void *it) { return free(it), 0; }
int cudaEventDestroy(void *it) { return free(it), 0; }
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n) { return *n = 1, 0; }
int cudaFuncGetAttributes(char *p, const void *f) { return memset(p, 0, 64), 0; }
void **__cudaRegisterFatBinary(void *binary) { static void *none[64]; return none; }
int __cudaGetKernel(void **kernel, const void *f) { return *kernel = (void *)f, 0; }

int cudaGetLastError(void) { int code = last_error; return last_error = 0, code; }
int cudaPeekAtLastError(void) { return last_error; }

const char *cudaGetErrorName(int code) {
  return code == 0 ? "cudaSuccess" : code == OUT_OF_MEMORY ? "cudaErrorMemoryAllocation" : code == NO_DEVICE ? "cudaErrorNoDevice"
    : code == INVALID_DEVICE ? "cudaErrorInvalidDevice" : code == LOST ? "cudaErrorLaunchFailure" : "unrecognized error code";
}

const char *cudaGetErrorString(int code) {
  return code == 0 ? "no error" : code == OUT_OF_MEMORY ? "out of memory" : code == NO_DEVICE ? "no CUDA-capable device is detected"
    : code == INVALID_DEVICE ? "invalid device ordinal" : code == LOST ? "unspecified launch failure" : "unrecognized error code";
}
