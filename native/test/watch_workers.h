// The library's workers, as the process sees them.
#ifndef NATIVENORM_WATCH_WORKERS_H_
#define NATIVENORM_WATCH_WORKERS_H_

namespace nntest {

// Whether a worker takes part in a job of two tasks that wait for each other; one must be allowed. Waits for 10 s.
bool AWorkerHelps();

// Threads of this process that are called "nativenorm-<number>", where threads have names that can be read: Linux. A
// thread that was waited for may still be listed for a moment.
int WorkerCount();
bool SoonWorkers(int count);

}  // namespace nntest

#endif  // NATIVENORM_WATCH_WORKERS_H_
