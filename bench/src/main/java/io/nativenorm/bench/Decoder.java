package io.nativenorm.bench;

import com.sun.management.ThreadMXBean;
import io.nativenorm.bench.contestant.NativeNormDecoder;
import io.nativenorm.bench.contestant.PlainDecoder;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Locale;

/**
 * The normalizations of a decoder, of one token and of 64, on its heap arrays: NativeNorm and the
 * loops that such programs have, in turns in one process. Answers are checked first.
 */
final class Decoder {
  /** A float sum of 2048 squares is 1e-6 off. */
  static final double ALLOWED = 5e-6;

  /** What the loops' time must be over NativeNorm's. */
  private static final double LEAST = 4;

  private static final int ROUNDS = 9;
  private static final long ROUND_NANOSECONDS = 60_000_000;
  private static final long WARM_UP_NANOSECONDS = 700_000_000;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private Decoder() {}

  /** Exit status 1 if an answer is wrong, a call allocates, or it is less than 4 times as fast. */
  public static void main(String[] arguments) {
    System.out.println("JDK " + Runtime.version() + ", " + Environment.cpu());
    boolean good = true;
    for (int tokens : new int[] {1, DecoderCalls.MOST_TOKENS}) {
      for (DecoderCalls.Named call : DecoderCalls.ALL) {
        good &= race(call, tokens);
      }
    }
    System.exit(good ? 0 : 1);
  }

  private static boolean race(DecoderCalls.Named call, int tokens) {
    try (DecoderCalls own = new NativeNormDecoder();
        DecoderCalls plain = new PlainDecoder()) {
      double error = error(call, tokens, own, plain);
      time(call, tokens, own, WARM_UP_NANOSECONDS);
      time(call, tokens, plain, WARM_UP_NANOSECONDS);
      double[] ours = new double[ROUNDS];
      double[] theirs = new double[ROUNDS];
      for (int i = 0; i < ROUNDS; i++) {
        ours[i] = time(call, tokens, own, ROUND_NANOSECONDS);
        theirs[i] = time(call, tokens, plain, ROUND_NANOSECONDS);
      }
      long bytes = bytes(call, tokens, own);
      double ratio = median(theirs) / median(ours);
      System.out.printf(
          Locale.ROOT,
          "%s, %-45s NativeNorm %7.3f us, loop %7.3f us, %5.2f times, %d B in 1000 calls,"
              + " error %.1e%n",
          tokens == 1 ? "one token" : tokens + " tokens",
          call.name(),
          median(ours),
          median(theirs),
          ratio,
          bytes,
          error);
      return ratio >= LEAST && bytes == 0 && error <= ALLOWED;
    }
  }

  /** The largest distance between both after one call on the same data. */
  static double error(DecoderCalls.Named call, int tokens, DecoderCalls own, DecoderCalls plain) {
    call.call().run(own, tokens);
    call.call().run(plain, tokens);
    double error = 0;
    for (int k = 0; k < own.outputs().length; k++) {
      float[] a = own.outputs()[k];
      float[] b = plain.outputs()[k];
      for (int i = 0; i < a.length; i++) {
        error = Math.max(error, Math.abs(a[i] - b[i]) / (1 + Math.abs(b[i])));
      }
    }
    return error;
  }

  /** Microseconds of a call, on average over some time. */
  private static double time(
      DecoderCalls.Named call, int tokens, DecoderCalls of, long nanoseconds) {
    int some = tokens == 1 ? 100 : 4;
    long calls = 0;
    long begin = System.nanoTime();
    long now = begin;
    while (now - begin < nanoseconds) {
      for (int i = 0; i < some; i++) {
        call.call().run(of, tokens);
      }
      calls += some;
      now = System.nanoTime();
    }
    return (now - begin) / 1e3 / calls;
  }

  private static long bytes(DecoderCalls.Named call, int tokens, DecoderCalls of) {
    long before = THREADS.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < 1000; i++) {
      call.call().run(of, tokens);
    }
    return THREADS.getCurrentThreadAllocatedBytes() - before;
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
