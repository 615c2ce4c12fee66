package io.nativenorm.bench;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;

/**
 * The file of a race: JMH's own JSON, each entry with the machine it was measured on; what JMH did
 * not measure (errors, cold starts, sizes) has entries of the same form. It is complete after each
 * addition, so that an interrupted race keeps what it measured.
 */
public final class RawFile {
  public static final String ERROR = "io.nativenorm.bench.Check";
  public static final String COLD_START = "io.nativenorm.bench.ColdStart";
  public static final String TURNS = "io.nativenorm.bench.Turns";
  public static final String STACK = "io.nativenorm.bench.Stacks";
  public static final String PAUSE = "io.nativenorm.bench.Pauses";
  public static final String SIZE = "io.nativenorm.bench.Jars";

  private static final Gson GSON = new GsonBuilder().setPrettyPrinting().create();

  private final Path path;
  private final JsonObject environment;
  private final JsonArray entries = new JsonArray();

  RawFile(Path path, JsonObject environment) {
    this.path = path;
    this.environment = environment;
  }

  Path path() {
    return path;
  }

  /** Adds what JMH measured, and the version of whom. */
  void add(Collection<RunResult> results, String version) throws IOException {
    ByteArrayOutputStream json = new ByteArrayOutputStream();
    try (PrintStream out = new PrintStream(json, false, StandardCharsets.UTF_8)) {
      ResultFormatFactory.getInstance(ResultFormatType.JSON, out).writeOut(results);
    }
    String text = json.toString(StandardCharsets.UTF_8);
    for (JsonElement entry : JsonParser.parseString(text).getAsJsonArray()) {
      entry.getAsJsonObject().remove("jvm"); // a path of one machine; the environment names the JDK
      entry.getAsJsonObject().addProperty("version", version);
      entry.getAsJsonObject().add("environment", environment);
      entries.add(entry);
    }
    write();
  }

  /** Adds a figure that is not JMH's. */
  void add(String benchmark, Map<String, String> params, double[] scores, String unit)
      throws IOException {
    double[] sorted = scores.clone();
    Arrays.sort(sorted);
    JsonObject metric = new JsonObject();
    metric.addProperty("score", sorted[sorted.length / 2]);
    metric.addProperty("scoreUnit", unit);
    metric.add("rawData", GSON.toJsonTree(new double[][] {scores}));
    JsonObject entry = entry(benchmark, params);
    entry.add("primaryMetric", metric);
    write();
  }

  /** Adds why there is no figure. */
  void addMissing(String benchmark, Map<String, String> params, String kind, String reason)
      throws IOException {
    entry(benchmark, params).addProperty(kind, reason);
    write();
  }

  private JsonObject entry(String benchmark, Map<String, String> params) {
    JsonObject entry = new JsonObject();
    entry.addProperty("benchmark", benchmark);
    entry.addProperty("mode", "ss");
    entry.addProperty("threads", 1);
    entry.add("params", GSON.toJsonTree(params));
    entry.add("environment", environment);
    entries.add(entry);
    return entry;
  }

  private void write() throws IOException {
    Path half = path.resolveSibling(path.getFileName() + ".half");
    Files.writeString(half, GSON.toJson(entries));
    Files.move(half, path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
  }
}
