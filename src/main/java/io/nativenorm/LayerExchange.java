package io.nativenorm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A layer's place in an exchange between workers: its name there, and the number of its steps. */
final class LayerExchange {
  /** How many layers were built without a name on each exchange that is still in use. */
  private static final Map<StatisticsExchange, AtomicLong> UNNAMED = new WeakHashMap<>();

  private final StatisticsExchange exchange;
  private final String name;
  private final AtomicLong steps = new AtomicLong();

  LayerExchange(StatisticsExchange exchange, @Nullable String name) {
    this.exchange = exchange;
    this.name = name == null ? nextName(exchange) : name;
  }

  private static String nextName(StatisticsExchange exchange) {
    synchronized (UNNAMED) {
      return "" + UNNAMED.computeIfAbsent(exchange, e -> new AtomicLong()).getAndIncrement();
    }
  }

  /** The number of the next forward. */
  long nextStep() {
    return steps.getAndIncrement();
  }

  /** What a worker's layer tells those of the others. */
  record Message(LayerExchange from, long step, double[] values) {
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
            && Arrays.stream(all).allMatch(row -> row.length == mine.length);
    if (!isOfAll) {
      throw new ExchangeException(
          exchange + " did not return " + mine.length + " numbers of each worker at " + step, null);
    }
    return all;
  }
}
