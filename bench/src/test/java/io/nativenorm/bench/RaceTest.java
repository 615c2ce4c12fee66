package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The race as a program: a JVM of its own in a folder of its own. */
class RaceTest {
  private static final int SECONDS = 60;

  @TempDir Path folder;

  private Process race(String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                Race.class.getName()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("race.log").toFile());
    builder.environment().put("CLASSPATH", System.getProperty("java.class.path"));
    return builder.start();
  }

  private Path results() {
    return folder.resolve("target/results");
  }

  /** What it has measured; nothing yet while the first figure is written to another file. */
  private JsonArray raw() throws IOException {
    if (Files.notExists(results())) {
      return new JsonArray();
    }
    try (Stream<Path> files = Files.list(results())) {
      Path raw = files.filter(file -> file.toString().endsWith(".json")).findFirst().orElse(null);
      return raw == null
          ? new JsonArray()
          : JsonParser.parseString(Files.readString(raw)).getAsJsonArray();
    }
  }

  @Test
  void anInterruptedRaceKeepsAndReportsWhatItMeasured() throws Exception {
    Process race = race("smoke", "--contestant", "Scalar Java", "--shape", "llama-token");
    for (int i = 0; i < SECONDS * 10 && !hasStream(); i++) {
      Thread.sleep(100);
    }
    assertTrue(race.isAlive(), () -> "it ended by itself: " + log());
    race.destroy();
    assertTrue(race.waitFor(SECONDS, TimeUnit.SECONDS));
    assertTrue(hasStream());
    for (JsonElement entry : raw()) {
      boolean isJmh = entry.getAsJsonObject().get("benchmark").getAsString().contains("Benchmark");
      assertEquals(isJmh, entry.getAsJsonObject().has("version"));
      String command =
          entry.getAsJsonObject().getAsJsonObject("environment").get("command").getAsString();
      assertEquals("bench/run.sh smoke --contestant 'Scalar Java' --shape llama-token", command);
    }
    String report = Files.readString(results().resolve("report.md"));
    assertTrue(report.contains("| Scalar Java | Java "), report);
    assertTrue(Files.size(results().resolve("report.html")) > 100_000);
  }

  private boolean hasStream() throws IOException {
    return raw().toString().contains("StreamBenchmark");
  }

  private String log() {
    try {
      return Files.readString(folder.resolve("race.log"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Test
  void whatIsNotKnownIsRefusedBeforeAnythingRuns() throws Exception {
    for (String[] wrong :
        new String[][] {
          {"slow"},
          {"quick", "--contestant", "Nobody"},
          {"quick", "--shape", "no-such"},
          {"quick", "--type", "I64"}
        }) {
      Process race = race(wrong);
      assertTrue(race.waitFor(SECONDS, TimeUnit.SECONDS));
      assertEquals(2, race.exitValue(), this::log);
      assertTrue(log().contains(wrong[wrong.length - 1]), this::log);
      assertTrue(Files.notExists(results()));
    }
  }
}
