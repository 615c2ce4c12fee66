package io.nativenorm.engine.onednn;

/**
 * Java's loops in slices, of which the caller's thread and the team's one each take the next. They
 * are two, since more of them and OpenMP's would be more than callers and processors. How a problem
 * is cut depends on its extents alone, so sums have the same bits for any number of threads.
 */
final class Slices {
  /** Elements of a slice: at least 10 us of work, which is what it costs to wake the other. */
  private static final long LEAST = 1 << 15;

  /** So many that a thread that comes late has little to wait for at the end. */
  private static final int MOST = 16;

  /** Null where one thread is to do it all. */
  private final Team team;

  /** A part of what is numbered from 0. */
  interface Slice {
    void run(int slice, long from, long to);
  }

  /** For a problem that so many threads may work on. */
  Slices(Team team, int threads) {
    this.team = threads > 1 ? team : null;
  }

  /** Into how many slices so many elements are cut, at most so many. */
  static int count(long elements, long most) {
    return (int) Math.max(1, Math.min(Math.min(MOST, most), elements / LEAST));
  }

  /** Runs all slices of 0 to end, and returns when all are done. */
  void run(int count, long end, Slice slice) {
    if (team != null && count > 1) {
      team.share(count, i -> run(i, count, end, slice));
      return;
    }
    for (int i = 0; i < count; i++) {
      run(i, count, end, slice);
    }
  }

  private static void run(int i, int count, long end, Slice slice) {
    slice.run(i, end * i / count, end * (i + 1) / count);
  }
}
