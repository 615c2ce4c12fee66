package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;

/**
 * Hostile and valid calls of everything public, from several threads. A failure names the seed of
 * its block of calls, which {@code -Dnativenorm.seed=<number>} runs alone; in a crash report it is
 * the thread's name. {@code -Dnativenorm.calls=300000} is the long form.
 */
@LeavesMemoryToTheCollector
class RandomCallsTest {
  private static final int CALLS = Integer.getInteger("nativenorm.calls", 20_000);
  private static final int BLOCK = 400;
  private static final int THREADS = 3;

  @Test
  void callsThatShouldWorkAndCallsThatShouldNot() throws Exception {
    List<PublicApi.Call> all = PublicApi.calls();
    Long wanted = Long.getLong("nativenorm.seed");
    CallTally tally = new CallTally();
    if (wanted != null) {
      runBlock(all, wanted, tally);
      return;
    }
    runAll(all, System.nanoTime(), tally);
    // Half of a method's share: of 203 methods with 98 calls each, one in ten runs has one below
    // 66.
    int least = CALLS / (2 * all.size());
    assertEquals("", tally.shortcomings(all, least, TestEngines.all()));
  }

  private static void runAll(List<PublicApi.Call> all, long first, CallTally tally)
      throws InterruptedException {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    int defaultThreads = NativeNorm.threads();
    try {
      List<Future<?>> blocks = new ArrayList<>();
      for (int i = 0; i < CALLS / BLOCK; i++) {
        long seed = first + i;
        blocks.add(threads.submit(() -> runBlock(all, seed, tally)));
      }
      for (int i = 0; i < blocks.size(); i++) {
        await(blocks.get(i), first + i);
      }
    } finally {
      threads.shutdownNow();
      NativeNorm.threads(defaultThreads);
    }
  }

  private static void runBlock(List<PublicApi.Call> all, long seed, CallTally tally) {
    Thread.currentThread().setName("random calls, seed " + seed);
    RandomCalls.run(all, seed, BLOCK, tally);
  }

  private static void await(Future<?> block, long seed) throws InterruptedException {
    String replay = "; replay with -Dnativenorm.seed=" + seed;
    try {
      block.get(5, TimeUnit.MINUTES);
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause().getMessage() + replay, e.getCause());
    } catch (TimeoutException e) {
      StringBuilder stacks = new StringBuilder("no end in sight" + replay);
      Thread.getAllStackTraces()
          .forEach((thread, stack) -> stacks.append('\n').append(thread).append(List.of(stack)));
      throw new AssertionError(stacks.toString());
    }
  }
}
