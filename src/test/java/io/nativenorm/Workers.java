package io.nativenorm;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Assertions;

/** Workers of an exchange, each a thread of its own. */
final class Workers {
  /** What a worker does with its end. */
  interface Body<T> {
    T run(StatisticsExchange end) throws Exception;
  }

  /** What it came to. */
  record Outcome<T>(T value, Throwable thrown) {
    <E extends Throwable> E failure(Class<E> type) {
      if (thrown == null) {
        return Assertions.fail("expected a " + type + ", but it returned " + value);
      }
      return Assertions.assertInstanceOf(type, thrown);
    }
  }

  private Workers() {}

  /** Runs all at once, and returns what each came to. */
  static <T> List<Outcome<T>> outcomes(List<StatisticsExchange> ends, Body<T> body) {
    ExecutorService threads = Executors.newFixedThreadPool(ends.size());
    try {
      List<Future<T>> running = new ArrayList<>();
      ends.forEach(end -> running.add(threads.submit(() -> body.run(end))));
      List<Outcome<T>> outcomes = new ArrayList<>();
      for (Future<T> future : running) {
        outcomes.add(outcome(future));
      }
      return outcomes;
    } finally {
      threads.shutdownNow();
    }
  }

  private static <T> Outcome<T> outcome(Future<T> future) {
    try {
      return new Outcome<>(future.get(), null);
    } catch (ExecutionException e) {
      return new Outcome<>(null, e.getCause());
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** What each returns; that one throws is an error. */
  static <T> List<T> run(List<StatisticsExchange> ends, Body<T> body) {
    List<T> values = new ArrayList<>();
    for (Outcome<T> outcome : outcomes(ends, body)) {
      if (outcome.thrown() != null) {
        throw new AssertionError(outcome.thrown());
      }
      values.add(outcome.value());
    }
    return values;
  }
}
