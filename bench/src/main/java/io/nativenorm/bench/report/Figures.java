package io.nativenorm.bench.report;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.nativenorm.DataType;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.RawFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What a {@link RawFile} holds, by what it is about. */
final class Figures {
  static final String NATIVE_NORM = "NativeNorm AUTO";

  /** Who is raced in which type: what the reports have a line for. */
  record Entrant(String contestant, DataType type) {
    /** The contestant's name, and the type if it is not F32. */
    @Override
    public String toString() {
      return type == DataType.F32 ? contestant : contestant + " in " + type;
    }
  }

  /**
   * A time.
   *
   * @param callers threads that call at once, each a session of its own
   * @param threads that may work on one call
   * @param microseconds of a call, the median of the iterations: one that compiles or that loses
   *     its processor to another program does not move it
   * @param least of the iterations
   * @param most of the iterations
   * @param allocated bytes on the Java heap a call; null if they were not counted
   */
  record Call(
      String contestant,
      Cell cell,
      int callers,
      int threads,
      double microseconds,
      double least,
      double most,
      Double allocated) {
    Entrant entrant() {
      return new Entrant(contestant, cell.type());
    }
  }

  /** The error of a contestant around a mean; without a number it failed, and says how. */
  record Error(String contestant, Cell cell, double mean, Double error, String failure) {
    Entrant entrant() {
      return new Entrant(contestant, cell.type());
    }
  }

  /** Why a contestant is not raced on a cell. */
  record Rejection(String contestant, Cell cell, String reason) {
    Entrant entrant() {
      return new Entrant(contestant, cell.type());
    }
  }

  /**
   * Training steps through a stack of layers.
   *
   * @param own milliseconds of NativeNorm's, with its page faults
   * @param other those of PyTorch's
   */
  record Stack(String step, double own, double other, double ownFaults, double otherFaults) {}

  /** A call as programs make it: microseconds on all threads, and on one alone. */
  record Pause(String call, String when, double micros, double alone) {}

  private final JsonObject environment;
  private final Map<String, JsonObject> stacks = new LinkedHashMap<>();
  private final Map<String, JsonObject> pauses = new LinkedHashMap<>();
  private final List<Call> calls = new ArrayList<>();
  private final List<Error> errors = new ArrayList<>();
  private final List<Rejection> rejections = new ArrayList<>();
  private final TreeMap<Long, Double> streams = new TreeMap<>();
  private final Map<String, String> versions = new LinkedHashMap<>();
  private final Map<String, Double> megabytes = new LinkedHashMap<>();
  private final Map<String, Double> starts = new LinkedHashMap<>();

  private Figures(JsonObject environment) {
    this.environment = environment;
  }

  static Figures read(Path raw) throws IOException {
    List<JsonElement> entries =
        JsonParser.parseString(Files.readString(raw)).getAsJsonArray().asList();
    if (entries.isEmpty()) {
      throw new IOException(raw + " holds no figures");
    }
    Figures figures = new Figures(entries.get(0).getAsJsonObject().getAsJsonObject("environment"));
    entries.forEach(entry -> figures.add(entry.getAsJsonObject()));
    return figures;
  }

  private void add(JsonObject entry) {
    JsonObject params = entry.getAsJsonObject("params");
    String benchmark = entry.get("benchmark").getAsString();
    String contestant = text(params, "contestant");
    switch (benchmark) {
      case RawFile.ERROR -> addAnswer(entry, params, contestant);
      case RawFile.SIZE -> megabytes.put(contestant, score(entry));
      case RawFile.STACK -> stacks.put(text(params, "step") + contestant, entry);
      case RawFile.PAUSE -> pauses.put(pauseKey(params) + text(params, "threads"), entry);
      case RawFile.COLD_START -> {
        if (entry.has("primaryMetric")) {
          starts.put(contestant, score(entry));
        }
      }
      default -> {
        if (contestant == null) {
          streams.put(params.get("bytes").getAsLong(), median(iterations(entry)));
        } else {
          calls.add(call(entry, params, contestant));
        }
      }
    }
  }

  private void addAnswer(JsonObject entry, JsonObject params, String contestant) {
    Cell cell = Cell.named(text(params, "cell"));
    if (entry.has("rejected")) {
      rejections.add(new Rejection(contestant, cell, text(entry, "rejected")));
      return;
    }
    Double error = entry.has("primaryMetric") ? score(entry) : null;
    double mean = params.get("mean").getAsDouble();
    errors.add(new Error(contestant, cell, mean, error, text(entry, "failure")));
    if (error != null) {
      versions.put(contestant, text(params, "version"));
    }
  }

  private static Call call(JsonObject entry, JsonObject params, String contestant) {
    double[] iterations = iterations(entry);
    return new Call(
        contestant,
        Cell.named(text(params, "cell")),
        entry.get("threads").getAsInt(),
        params.get("threads").getAsInt(),
        median(iterations),
        iterations[0],
        iterations[iterations.length - 1],
        allocated(entry));
  }

  /** JMH counts it, {@link RawFile#TURNS} do not. */
  private static Double allocated(JsonObject entry) {
    if (!entry.has("secondaryMetrics")) {
      return null;
    }
    return entry.getAsJsonObject("secondaryMetrics").entrySet().stream()
        .filter(metric -> metric.getKey().endsWith("gc.alloc.rate.norm"))
        .map(metric -> metric.getValue().getAsJsonObject().get("score").getAsDouble())
        .findFirst()
        .orElse(null);
  }

  /** The fastest first. */
  private static double[] iterations(JsonObject entry) {
    return entry.getAsJsonObject("primaryMetric").getAsJsonArray("rawData").asList().stream()
        .flatMap(fork -> fork.getAsJsonArray().asList().stream())
        .mapToDouble(JsonElement::getAsDouble)
        .sorted()
        .toArray();
  }

  private static String pauseKey(JsonObject params) {
    return text(params, "call") + "|" + text(params, "when") + "|";
  }

  /** In the order they were measured. */
  List<Stack> stacks() {
    List<Stack> both = new ArrayList<>();
    for (JsonObject own : stacks.values()) {
      JsonObject params = own.getAsJsonObject("params");
      String step = text(params, "step");
      JsonObject other = stacks.get(step + "PyTorch");
      if (text(params, "contestant").equals(NATIVE_NORM) && other != null) {
        double faults = params.get("faults").getAsDouble();
        double others = other.getAsJsonObject("params").get("faults").getAsDouble();
        both.add(new Stack(step, score(own), score(other), faults, others));
      }
    }
    return both;
  }

  /** In the order they were measured; on one processor a call has but one thread. */
  List<Pause> pauses() {
    List<Pause> both = new ArrayList<>();
    for (Map.Entry<String, JsonObject> entry : pauses.entrySet()) {
      JsonObject params = entry.getValue().getAsJsonObject("params");
      JsonObject alone = pauses.get(pauseKey(params) + "1");
      if (text(params, "threads").equals(environment.get("processors").getAsString())) {
        both.add(
            new Pause(
                text(params, "call"), text(params, "when"), score(entry.getValue()), score(alone)));
      }
    }
    return both;
  }

  private static double median(double[] sorted) {
    return sorted[sorted.length / 2];
  }

  private static double score(JsonObject entry) {
    return entry.getAsJsonObject("primaryMetric").get("score").getAsDouble();
  }

  private static String text(JsonObject object, String name) {
    return object.has(name) ? object.get(name).getAsString() : null;
  }

  /** CPU, processors, OS, JDK and command, each with its name. */
  Map<String, String> environment() {
    Map<String, String> texts = new LinkedHashMap<>();
    environment.entrySet().forEach(e -> texts.put(e.getKey(), e.getValue().getAsString()));
    return texts;
  }

  /** In the order they were raced. */
  Set<Entrant> entrants() {
    Set<Entrant> entrants = new LinkedHashSet<>();
    errors.forEach(error -> entrants.add(error.entrant()));
    rejections.forEach(rejection -> entrants.add(rejection.entrant()));
    return entrants;
  }

  /**
   * The race itself, a call for a contestant and cell: of one caller with as many threads as
   * processors. Cells whose answers were not checked are there for their scaling only.
   */
  List<Call> race() {
    int processors = environment.get("processors").getAsInt();
    Set<Cell> checked = errors.stream().map(Error::cell).collect(Collectors.toSet());
    Map<String, Call> first = new LinkedHashMap<>();
    calls.stream()
        .filter(call -> call.callers() == 1 && call.threads() == processors)
        .filter(call -> checked.contains(call.cell()))
        .forEach(call -> first.putIfAbsent(call.contestant() + call.cell().id(), call));
    return List.copyOf(first.values());
  }

  /** Whether there are cells in other types than F32. */
  boolean hasSixteenBits() {
    return entrants().stream().anyMatch(entrant -> entrant.type() != DataType.F32);
  }

  /** Every call, those over threads and callers too. */
  List<Call> calls() {
    return calls;
  }

  List<Error> errors() {
    return errors;
  }

  List<Rejection> rejections() {
    return rejections;
  }

  /** Microseconds of a streaming pass by the bytes it moves. */
  Map<Long, Double> streams() {
    return streams;
  }

  Map<String, String> versions() {
    return versions;
  }

  /** Of the jars. */
  Map<String, Double> megabytes() {
    return megabytes;
  }

  /** Milliseconds from starting a JVM to its end after one call. */
  Map<String, Double> starts() {
    return starts;
  }

  /** A contestant's call on a cell. */
  Optional<Call> call(String contestant, Cell cell) {
    return race().stream()
        .filter(call -> call.contestant().equals(contestant) && call.cell().equals(cell))
        .findFirst();
  }

  /** The error around 0. */
  Optional<Double> error(Call call) {
    return errors.stream()
        .filter(e -> e.mean() == 0 && e.error() != null)
        .filter(e -> e.contestant().equals(call.contestant()) && e.cell().equals(call.cell()))
        .map(Error::error)
        .findFirst();
  }
}
