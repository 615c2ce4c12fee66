package io.nativenorm;

import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A layer's place in an exchange between workers: its name there, and the number of its steps. */
final class LayerExchange {
  /** How many layers were built without a name on each exchange that is still in use. */
  private static final Map<End, Long> UNNAMED = new HashMap<>();

  private static final ReferenceQueue<StatisticsExchange> UNUSED = new ReferenceQueue<>();

  private final StatisticsExchange exchange;
  private final String name;
  private long thaws;
  private long steps;

  /** An exchange as such, whatever it says of what it equals. */
  private static final class End extends WeakReference<StatisticsExchange> {
    private final int hash;

    End(StatisticsExchange exchange) {
      super(exchange, UNUSED);
      hash = System.identityHashCode(exchange);
    }

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(Object other) {
      return this == other || (other instanceof End end && get() != null && get() == end.get());
    }
  }

  LayerExchange(StatisticsExchange exchange, @Nullable String name) {
    this.exchange = exchange;
    this.name = name == null ? nextName(exchange) : name;
  }

  private static String nextName(StatisticsExchange exchange) {
    synchronized (UNNAMED) {
      for (Reference<?> end = UNUSED.poll(); end != null; end = UNUSED.poll()) {
        UNNAMED.remove(end);
      }
      return "" + (UNNAMED.merge(new End(exchange), 1L, Long::sum) - 1);
    }
  }

  /**
   * The number of the next forward: since the last thaw, if there was one, which it begins with.
   */
  synchronized String nextStep() {
    long step = steps++;
    return thaws == 0 ? "" + step : thaws + "." + step;
  }

  /**
   * Workers may have done different numbers of steps while they were frozen; one that was frozen
   * alone, and thawed, must not be at the steps of the others.
   */
  synchronized void thawed() {
    thaws++;
    steps = 0;
  }

  /** Ends the exchange for all: the others fail at their next step. */
  void close() {
    exchange.close();
  }

  /** What a worker's layer tells those of the others. */
  record Message(LayerExchange from, String step, double[] values) {
    /** Where it is from. */
    @Override
    public String toString() {
      return from.name + "/" + step;
    }
  }

  /** What the workers' layers tell each other in a phase, in the order of ranks. */
  static double[][] gather(String phase, Message message) {
    return message.from.allGather(message + "/" + phase, message.values);
  }

  /** The same of several layers on one exchange, in one message; in their order. */
  static List<double[][]> gather(String phase, List<Message> messages) {
    if (messages.isEmpty()) {
      return List.of();
    }
    if (messages.stream().anyMatch(m -> m.from.exchange != messages.get(0).from.exchange)) {
      throw new IllegalArgumentException("what exchanges together must be on one exchange");
    }
    String steps = messages.stream().map(Message::toString).collect(Collectors.joining("+"));
    double[] all = messages.stream().flatMapToDouble(m -> Arrays.stream(m.values)).toArray();
    double[][] gathered = messages.get(0).from.allGather(steps + "/" + phase, all);
    List<double[][]> parts = new ArrayList<>();
    int from = 0;
    for (Message message : messages) {
      int begin = from;
      int end = from + message.values.length;
      parts.add(
          Arrays.stream(gathered)
              .map(row -> Arrays.copyOfRange(row, begin, end))
              .toArray(double[][]::new));
      from = end;
    }
    return parts;
  }

  private double[][] allGather(String step, double[] mine) {
    double[][] all = exchange.allGather(step, mine);
    boolean isOfAll =
        all.length == exchange.size()
            && Arrays.stream(all).allMatch(row -> row != null && row.length == mine.length);
    if (!isOfAll) {
      exchange.close(); // the others go on with what they have
      throw new ExchangeException(
          exchange + " did not return " + mine.length + " numbers of each worker at " + step, null);
    }
    return all;
  }
}
