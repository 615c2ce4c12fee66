package io.nativenorm.engine.onednn;

import io.nativenorm.engine.Operands;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/**
 * The one thread that OpenMP teams belong to. OpenMP keeps a pool of workers for every thread that
 * starts a team: 64 callers with 8 threads each made 533 OS threads, and a worker that cannot be
 * made ends the process. So callers hand their work to this thread, and one team serves them all.
 *
 * <p>Primitives are made here too. oneDNN notes the team's size when it makes one, and LayerNorm's
 * backward adds up stale memory if the team is smaller when it runs; here it never is.
 */
final class Team {
  /** What is run, so that handing over a call allocates nothing. */
  interface Work {
    void run(Operands operands);
  }

  /**
   * How long either side looks before it sleeps. Waking a thread costs 50 us where its processor
   * has gone to sleep too.
   */
  private static final long SPIN_NANOSECONDS = 50_000;

  /** Stands for work that this team's thread is doing. */
  private static final Work BEGUN = nothing -> {};

  /** The size where no team is wanted: OpenMP is told nothing. */
  private static final int NO_TEAM = 0;

  private static final int PROCESSORS = Runtime.getRuntime().availableProcessors();

  private final OpenMp openMp;
  private final ReentrantLock turn = new ReentrantLock();
  private final Thread thread = new Thread(this::serve, "nativenorm-onednn");

  // Of the caller whose turn it is. Work is written last and read first, and publishes the others.
  private Thread caller;
  private int size;
  private Operands operands;
  private Throwable failure;
  private final AtomicReference<Work> work = new AtomicReference<>();

  /** What OpenMP was told last, 0 if nothing. Of this team's thread. */
  private int told;

  private boolean ended;

  // Made once, so that waiting allocates nothing.
  private final BooleanSupplier begun = () -> work.get() != null;
  private final BooleanSupplier done = () -> work.get() == null;

  Team(OpenMp openMp) {
    this.openMp = openMp;
    thread.setDaemon(true);
    thread.start();
  }

  /** Whether this can make teams of a size; without OpenMP's functions they have their default. */
  boolean isSizable() {
    return openMp.isFound();
  }

  /** Runs work on a team, after the callers before. */
  void run(int threads, Work work, Operands operands) {
    turn.lock();
    try {
      handOver(threads, work, operands);
    } finally {
      turn.unlock();
    }
  }

  /**
   * Ends all workers but this team's thread; false if OpenMP cannot. The next team has new ones.
   */
  boolean endWorkers() {
    turn.lock();
    try {
      handOver(1, this::endWorkersHere, null);
      return ended;
    } finally {
      turn.unlock();
    }
  }

  private void endWorkersHere(Operands nothing) {
    ended = openMp.endWorkers();
    told = 0;
  }

  /** Runs work on a team unless another caller has it: then returns false at once. */
  boolean tryRun(int threads, Work work, Operands operands) {
    if (!turn.tryLock()) {
      return false;
    }
    try {
      handOver(threads, work, operands);
      return true;
    } finally {
      turn.unlock();
    }
  }

  /**
   * Does numbered tasks on the calling thread and, unless another caller has it, on this team's
   * thread, each taking the next. If that one is asleep nothing waits for it to wake.
   */
  void share(int tasks, IntConsumer task) {
    AtomicInteger next = new AtomicInteger();
    Work all =
        nothing -> {
          for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
            task.accept(i);
          }
        };
    if (!turn.tryLock()) {
      all.run(null);
      return;
    }
    try {
      offer(NO_TEAM, all, null);
      try {
        all.run(null);
      } finally {
        if (work.compareAndSet(all, null)) {
          caller = null;
        } else {
          spin(done);
          await();
        }
      }
      throwFailure();
    } finally {
      turn.unlock();
    }
  }

  private void handOver(int threads, Work work, Operands operands) {
    offer(threads, work, operands);
    if (threads < PROCESSORS) { // else this would take a processor from the team
      spin(done);
    }
    await();
    throwFailure();
  }

  private void offer(int threads, Work work, Operands operands) {
    this.caller = Thread.currentThread();
    this.size = threads;
    this.operands = operands;
    this.failure = null;
    this.work.set(work);
    LockSupport.unpark(thread);
  }

  private void await() {
    boolean interrupted = false;
    while (work.get() != null) {
      LockSupport.park(this);
      // The team writes into the caller's memory: there is no leaving early.
      interrupted |= Thread.interrupted();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void throwFailure() {
    if (failure instanceof Error error) {
      throw error;
    }
    if (failure instanceof RuntimeException exception) {
      throw exception;
    }
  }

  /** Waits a little for something, and returns whether it happened. */
  private static boolean spin(BooleanSupplier happened) {
    long end = System.nanoTime() + SPIN_NANOSECONDS;
    while (!happened.getAsBoolean()) {
      if (System.nanoTime() > end) {
        return false;
      }
      Thread.onSpinWait();
    }
    return true;
  }

  private void serve() {
    while (true) {
      Work next = work.get();
      if (next == null || !work.compareAndSet(next, BEGUN)) {
        if (!spin(begun)) {
          LockSupport.park(this);
          Thread.interrupted(); // a host that interrupts its thread group must not make this spin
        }
        continue;
      }
      try {
        if (size != told && size != NO_TEAM) {
          openMp.setTeam(size);
          told = size;
        }
        next.run(operands);
      } catch (RuntimeException | Error e) {
        failure = e; // thrown again in the caller
      }
      Thread waiting = caller;
      caller = null;
      operands = null;
      work.set(null);
      LockSupport.unpark(waiting);
    }
  }
}
