// The workers: threads for large problems, one set for the process. The caller takes part.
#ifndef NATIVENORM_WORKERS_H_
#define NATIVENORM_WORKERS_H_

#include <stddef.h>

#include "threads/openmp.h"

namespace nn {

// Who may work on a job.
struct Team {
  int threads;  // the caller among them
  bool wakes;   // whether it is large enough to wake workers that sleep
  OpenMp openmp = {};  // whose threads take the workers' place, if it is there
};
constexpr Team kAlone = {1, false};

// Runs task(context, i) for every i below `tasks`, each once, and returns when all are done. Of the team's threads
// there work as many as are idle, and awake unless it is worth waking them. While other callers, or threads of others,
// keep the processors busy the caller works alone, and so it does where there is no memory for a thread. Which thread
// does a task is not known beforehand, so results must not depend on it. Tasks do not throw.
void RunTasks(Team team, size_t tasks, void (*task)(const void* context, size_t i), const void* context);

// For tests: whether each job wakes the workers that it can use, small ones and those after waiting too. Off at first.
void WakeForAll(bool all);

// Allows so many workers, and of OpenMP's threads as many beside a caller. Ends those that are too many, and waits for
// them.
void SetWorkers(int count);

// Ends all workers, unless a job runs. For when nobody is left to call: then a job runs only where the process ends.
void EndIdleWorkers();

template <class Body>
void Parallel(Team team, size_t tasks, const Body& body) {
  RunTasks(
      team, tasks, [](const void* context, size_t i) { (*static_cast<const Body*>(context))(i); }, &body);
}

// Part i of n things in `parts` parts of the same size, to one.
struct Range {
  size_t begin;
  size_t end;
};
inline Range PartOf(size_t n, size_t parts, size_t i) {
  if (parts == 1) return {0, n};  // without a division, which a call of 60 ns feels
  const size_t size = n / parts, remainder = n % parts;
  const size_t begin = i * size + (i < remainder ? i : remainder);
  return {begin, begin + size + (i < remainder ? 1 : 0)};
}
inline Range PartOf(Range things, size_t parts, size_t i) {
  const Range part = PartOf(things.end - things.begin, parts, i);
  return {things.begin + part.begin, things.begin + part.end};
}

}  // namespace nn

#endif  // NATIVENORM_WORKERS_H_
