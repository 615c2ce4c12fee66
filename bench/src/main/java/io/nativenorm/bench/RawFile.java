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
import java.util.Collection;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;

/**
 * The file of a race: JMH's own JSON, each entry with the machine it was measured on. It is
 * complete after each addition, so that an interrupted race keeps what it measured.
 */
final class RawFile {
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

  /** Adds what JMH measured, and the version of who was measured. */
  void add(Collection<RunResult> results, String version) throws IOException {
    ByteArrayOutputStream json = new ByteArrayOutputStream();
    try (PrintStream out = new PrintStream(json, false, StandardCharsets.UTF_8)) {
      ResultFormatFactory.getInstance(ResultFormatType.JSON, out).writeOut(results);
    }
    String text = json.toString(StandardCharsets.UTF_8);
    for (JsonElement entry : JsonParser.parseString(text).getAsJsonArray()) {
      entry.getAsJsonObject().add("environment", environment);
      entry.getAsJsonObject().addProperty("version", version);
      entries.add(entry);
    }
    Path half = path.resolveSibling(path.getFileName() + ".half");
    Files.writeString(half, GSON.toJson(entries));
    Files.move(half, path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
  }
}
