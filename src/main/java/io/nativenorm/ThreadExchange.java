package io.nativenorm;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;

/** One thread's end of an exchange; what all ends share is a {@link ThreadMeeting}. */
final class ThreadExchange implements StatisticsExchange {
  private final ThreadMeeting meeting;
  private final int rank;
  private final AtomicBoolean inCall = new AtomicBoolean();

  /** How many calls were begun: that of the thread that is in one. */
  private long round;

  private ThreadExchange(ThreadMeeting meeting, int rank) {
    this.meeting = meeting;
    this.rank = rank;
  }

  static List<StatisticsExchange> of(int workers, Duration timeout) {
    ThreadMeeting meeting = new ThreadMeeting(workers, timeout);
    return IntStream.range(0, workers)
        .<StatisticsExchange>mapToObj(rank -> new ThreadExchange(meeting, rank))
        .toList();
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return meeting.workers();
  }

  @Override
  public double[][] allGather(String step, double[] mine) {
    Objects.requireNonNull(step, "step");
    double[] own = Objects.requireNonNull(mine, "mine").clone();
    if (!inCall.compareAndSet(false, true)) {
      throw meeting.fail(rank, "made two calls at once, of which one is " + step);
    }
    try {
      return meeting.gather(rank, round++, step, own);
    } finally {
      inCall.set(false);
    }
  }

  @Override
  public void close() {
    meeting.fail(rank, "closed its end");
  }

  @Override
  public String toString() {
    return "rank " + rank + " of " + meeting;
  }
}
