package io.nativenorm.gloo;

import java.util.List;

/** Processes that are connected, in the order of ranks. */
record WorkerGroup(List<WorkerProcess> workers) {
  static WorkerGroup connect(long timeoutMillis, List<WorkerProcess> workers)
      throws InterruptedException {
    int size = workers.size();
    workers.get(0).tell("connect", 0, 0, size, timeoutMillis);
    String port = workers.get(0).answer();
    for (int rank = 1; rank < size; rank++) {
      workers.get(rank).tell("connect", port, rank, size, timeoutMillis);
    }
    WorkerGroup group = new WorkerGroup(List.copyOf(workers));
    group.allAnswer("connected");
    return group;
  }

  WorkerProcess rank(int rank) {
    return workers.get(rank);
  }

  void allDo(String answer, Object... words) throws InterruptedException {
    workers.forEach(worker -> worker.tell(words));
    allAnswer(answer);
  }

  void allAnswer(String answer) throws InterruptedException {
    for (WorkerProcess worker : workers) {
      worker.expect(answer);
    }
  }
}
