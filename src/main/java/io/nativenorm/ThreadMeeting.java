package io.nativenorm;

import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Where the threads of an exchange meet, round after round.
 *
 * <ul>
 *   <li>A worker writes its call into its place, then counts itself in {@link #arrived}; whoever
 *       sees the count of a full round sees all calls.
 *   <li>A round fails by the count's complement, if it is not full: so it is full for all, or for
 *       none. One that was full stays so for those that have not looked yet.
 *   <li>Calls lie in two rows of places in turn: who writes into a row has seen the next round
 *       full, for which all had read this one.
 * </ul>
 */
final class ThreadMeeting {
  /**
   * Who waits for longer sleeps: waking takes a thread some 50 us. Before that it spins, or where
   * there are more workers than processors gives way: eight on two took 75 us for two rounds when
   * they slept at once, 12 so.
   */
  private static final long AWAKE_NANOS = 50_000;

  /** More threads than any machine runs: what is kept for each must fit a heap. */
  private static final int MOST = 1 << 16;

  private static final long LONGEST = Long.MAX_VALUE / 2;

  private record Call(String step, double[] values) {
    boolean isLike(Call other) {
      return values.length == other.values.length && step.equals(other.step);
    }

    @Override
    public String toString() {
      return step + " of " + values.length + " values";
    }
  }

  private record Failure(int rank, String message) {}

  private final int workers;
  private final Duration timeout;
  private final long timeoutNanos;
  private final boolean isSpinning;
  private final Call[][] calls;

  /** Workers in all rounds so far; its complement once a round has failed. */
  private final AtomicLong arrived = new AtomicLong();

  /** The rounds that each worker is counted in. */
  private final AtomicLongArray roundsOf;

  private final AtomicReferenceArray<Thread> sleepers;

  /** Guarded by this, which who sees the complement has to wait for. */
  private @Nullable Failure failure;

  ThreadMeeting(int workers, Duration timeout) {
    if (workers < 1 || workers > MOST) {
      throw new IllegalArgumentException("expected 1 to " + MOST + " workers, but got " + workers);
    }
    if (timeout.isZero() || timeout.isNegative()) {
      throw new IllegalArgumentException("expected a timeout above 0, but got " + timeout);
    }
    this.workers = workers;
    this.timeout = timeout;
    boolean isShort = timeout.compareTo(Duration.ofNanos(LONGEST)) < 0;
    timeoutNanos = isShort ? timeout.toNanos() : LONGEST;
    isSpinning = workers <= Runtime.getRuntime().availableProcessors();
    calls = new Call[2][workers];
    roundsOf = new AtomicLongArray(workers);
    sleepers = new AtomicReferenceArray<>(workers);
  }

  int workers() {
    return workers;
  }

  double[][] gather(int rank, long round, String step, double[] mine) {
    Call[] row = calls[(int) (round & 1)];
    Call own = new Call(step, mine);
    long full = (round + 1) * workers;
    if (!arrive(row, rank, own, full)) {
      await(rank, own, full);
    }
    double[][] all = new double[workers][];
    for (int r = 0; r < workers; r++) {
      all[r] = row[r].values;
    }
    return all;
  }

  /** Returns whether all are there now. */
  private boolean arrive(Call[] row, int rank, Call own, long full) {
    long before = arrived.get();
    if (before >= 0) {
      row[rank] = own;
    }
    for (; before >= 0; before = arrived.get()) {
      boolean isLast = before + 1 == full;
      if (isLast) {
        requireAlike(row, full);
      }
      if (arrived.compareAndSet(before, before + 1)) {
        roundsOf.incrementAndGet(rank);
        if (isLast) {
          wakeAll();
        }
        return isLast;
      }
    }
    throw failed();
  }

  private void requireAlike(Call[] row, long full) {
    for (Call call : row) {
      if (!call.isLike(row[0])) {
        ExchangeException found =
            ExchangeException.differing(Arrays.stream(row).map(Call::toString).toList());
        fail(full, () -> new Failure(found.rank().getAsInt(), found.getMessage()));
        throw failed();
      }
    }
  }

  private void await(int rank, Call own, long full) {
    long begin = System.nanoTime();
    while (System.nanoTime() - begin < AWAKE_NANOS) {
      if (isFull(full)) {
        return;
      }
      if (isSpinning) {
        Thread.onSpinWait();
      } else {
        Thread.yield();
      }
    }
    sleepers.set(rank, Thread.currentThread());
    try {
      while (!isFull(full)) {
        long left = begin + timeoutNanos - System.nanoTime();
        if (left <= 0) {
          fail(full, () -> late(own, full / workers));
        } else if (Thread.currentThread().isInterrupted()) {
          fail(full, () -> new Failure(rank, "rank " + rank + " was interrupted at " + own.step));
        } else {
          LockSupport.parkNanos(this, left);
        }
      }
    } finally {
      sleepers.set(rank, null);
    }
  }

  private boolean isFull(long full) {
    long now = arrived.get();
    if (now >= full || ~now >= full) {
      return true;
    }
    if (now < 0) {
      throw failed();
    }
    return false;
  }

  /** Fails what has not failed yet, by the fault of a worker, in words that follow its name. */
  ExchangeException fail(int rank, String what) {
    fail(Long.MAX_VALUE, () -> new Failure(rank, "rank " + rank + " " + what));
    return failed();
  }

  /** Fails the round that is full with so many, if it is not and none failed before. */
  private synchronized void fail(long full, Supplier<Failure> why) {
    for (long now = arrived.get(); now >= 0 && now < full; now = arrived.get()) {
      if (arrived.compareAndSet(now, ~now)) {
        failure = why.get();
        wakeAll();
      }
    }
  }

  /** Who is not there; nobody comes any more. */
  private Failure late(Call own, long rounds) {
    while (IntStream.range(0, workers).mapToLong(roundsOf::get).sum() < ~arrived.get()) {
      Thread.yield(); // one is between the count and its own
    }
    int[] missing = IntStream.range(0, workers).filter(r -> roundsOf.get(r) < rounds).toArray();
    String names =
        Arrays.stream(missing).mapToObj(r -> "rank " + r).collect(Collectors.joining(", "));
    return new Failure(missing[0], names + " did not come to " + own.step + " within " + timeout);
  }

  private synchronized ExchangeException failed() {
    return new ExchangeException(this + ": " + failure.message, failure.rank, null);
  }

  private void wakeAll() {
    for (int r = 0; r < workers; r++) {
      LockSupport.unpark(sleepers.get(r));
    }
  }

  @Override
  public String toString() {
    return "exchange between " + workers + " threads";
  }
}
