package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.Backend;
import io.nativenorm.TestEngines;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CommandLineTest {
  @TempDir private Path folder;
  private Path x;
  private Path y;

  private record Outcome(int status, String out, String err) {}

  private static Outcome run(String... args) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
    ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(outBytes, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
      int status = Main.run(args);
      return new Outcome(
          status,
          outBytes.toString(StandardCharsets.UTF_8),
          errBytes.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  private Path file(String name, float[] values, long... shape) throws Exception {
    Path path = folder.resolve(name);
    new NpyFile(values, shape).write(path);
    return path;
  }

  @BeforeEach
  void files() throws Exception {
    x = file("x.npy", new float[] {0, 2, 1, 3, 5, 5, 9, 7}, 2, 2, 2);
    y = folder.resolve("y.npy");
  }

  private Outcome normalize(String... options) {
    return run(
        Stream.concat(
                Stream.of("normalize", "--input", x.toString(), "--output", y.toString()),
                Stream.of(options))
            .toArray(String[]::new));
  }

  private void assertOutput(float[] expected, Outcome outcome) throws Exception {
    assertEquals("", outcome.err);
    assertEquals(0, outcome.status);
    NpyFile written = NpyFile.read(y);
    assertArrayEquals(expected, written.values(), 1e-3f);
    assertArrayEquals(new long[] {2, 2, 2}, written.shape());
  }

  @Test
  void layer() throws Exception {
    Outcome outcome = normalize("--op", "layer");
    assertOutput(new float[] {-1, 1, -1, 1, 0, 0, 1, -1}, outcome);
    assertTrue(outcome.out.contains("LayerNorm([2]) on F32 CHANNELS_FIRST [2, 2, 2]"), outcome.out);
    String winner = TestEngines.hasFused() ? "FUSED, kernel fused " : "ONEDNN, kernel onednn ";
    assertTrue(outcome.out.contains("inference: " + winner), outcome.out);
  }

  @Test
  void layerOverMoreThanOneDimension() throws Exception {
    float r = (float) Math.sqrt(1.25);
    float s = (float) Math.sqrt(2.75);
    float[] expected = {
      -1.5f / r, 0.5f / r, -0.5f / r, 1.5f / r, -1.5f / s, -1.5f / s, 2.5f / s, 0.5f / s
    };
    assertOutput(expected, normalize("--op", "layer", "--axis", "1"));
    assertOutput(expected, normalize("--op", "layer", "--axis", "-2", "--backend", "java"));
  }

  @Test
  void parametersAndEps() throws Exception {
    Path weight = file("weight.npy", new float[] {10, 100}, 2);
    Path bias = file("bias.npy", new float[] {1, 2}, 2);
    Outcome outcome =
        normalize(
            "--op",
            "layer",
            "--weight",
            weight.toString(),
            "--bias",
            bias.toString(),
            "--eps",
            "0",
            "--axis",
            "2",
            "--backend",
            "java");
    // The row (5, 5) has no variance and no eps: NaN, as in PyTorch.
    assertOutput(new float[] {-9, 102, -9, 102, Float.NaN, Float.NaN, 11, -98}, outcome);
    // An eps beyond all variances leaves the bias.
    assertOutput(
        new float[] {1, 2, 1, 2, 1, 2, 1, 2},
        normalize("--op", "layer", "--bias", bias.toString(), "--eps", "1e30"));
  }

  @Test
  void batchWithItsOwnAndWithRunningStatistics() throws Exception {
    float first = (float) Math.sqrt(4.5);
    float second = (float) Math.sqrt(10);
    assertOutput(
        new float[] {
          -3 / first,
          -1 / first,
          -4 / second,
          -2 / second,
          2 / first,
          2 / first,
          4 / second,
          2 / second
        },
        normalize("--op", "batch", "--training"));
    Path mean = file("mean.npy", new float[] {1, 3}, 2);
    Path variance = file("variance.npy", new float[] {4, 1}, 2);
    assertOutput(
        new float[] {-0.5f, 0.5f, -2, 0, 2, 2, 6, 4},
        normalize("--op", "batch", "--mean", mean.toString(), "--variance", variance.toString()));
  }

  @Test
  void theChannelMayBeTheLastAxis() throws Exception {
    // Channels are columns now: (0, 1), (2, 3), (5, 9), (5, 7) within the two samples.
    assertOutput(
        new float[] {-1, -1, 1, 1, -1, -1, 1, 1},
        normalize("--op", "instance", "--layout", "last"));
    assertOutput(new float[] {-1, 1, -1, 1, 0, 0, 1, -1}, normalize("--op", "instance"));
  }

  @Test
  void groupAndRms() throws Exception {
    assertOutput(
        new float[] {-1, 1, -1, 1, 0, 0, 1, -1}, normalize("--op", "group", "--groups", "2"));
    float rms = (float) Math.sqrt(65);
    assertOutput(
        new float[] {
          0,
          (float) Math.sqrt(2),
          1 / (float) Math.sqrt(5),
          3 / (float) Math.sqrt(5),
          1,
          1,
          9 / rms,
          7 / rms
        },
        normalize("--op", "rms"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --op=layer --groups=2          | --groups goes with --op group
          --op=group                     | --op group needs --groups
          --op=group --groups=3          | GroupNorm(3, 2): num_channels (2) must be divisible by num_groups (3)
          --op=rms --bias=b.npy          | --op rms has no --bias
          --op=batch                     | --op batch needs --mean and --variance, or --training
          --op=batch --mean=m.npy        | --mean and --variance go together
          --op=batch --axis=1 --training | --axis goes with --op layer and --op rms
          --op=layer --layout=last       | --layout goes with batch, group and instance
          --op=layer --axis=3            | --axis 3 is not a dimension of [2, 2, 2]
          --op=layer --weight=no.npy     | no.npy does not exist
          --op=layer --eps=-1            | eps must be non-negative and finite, but got -1.0
          --op=layer --eps=small         | Invalid value for option '--eps'
          --op=softmax                   | Invalid value for option '--op'
          --backend=java                 | Missing required option: '--op
          --op=layer --colour=red        | Unknown option: '--colour=red'
          """)
  void whatCannotBeIsRefusedInOneLine(String options, String says) {
    Outcome outcome = normalize(options.split(" "));
    assertEquals(2, outcome.status, outcome.err);
    assertEquals(1, outcome.err.lines().count(), outcome.err);
    assertTrue(outcome.err.startsWith("nativenorm normalize: "), outcome.err);
    assertTrue(outcome.err.contains(says), outcome.err);
    assertEquals("", outcome.out);
    assertFalse(Files.exists(y));
  }

  @Test
  void aFailureLeavesAnOldOutputAlone() throws Exception {
    Files.writeString(y, "old");
    Path weight = file("weight.npy", new float[] {1, 2, 3}, 3);
    Outcome outcome = normalize("--op", "layer", "--weight", weight.toString());
    assertEquals(2, outcome.status);
    assertTrue(outcome.err.contains("size mismatch for weight"), outcome.err);
    assertEquals("old", Files.readString(y));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of("weight.npy", "x.npy", "y.npy"), names(files));
    }
  }

  private static List<String> names(Stream<Path> files) {
    return files.map(path -> path.getFileName().toString()).sorted().toList();
  }

  @Test
  void filesThatAreNotArrays() throws Exception {
    Files.writeString(x, "not numpy");
    assertTrue(normalize("--op", "layer").err.contains("x.npy is not an .npy file"));
    Files.write(x, new byte[0]);
    assertTrue(normalize("--op", "layer").err.contains("x.npy is not an .npy file"));
    new NpyFile(new float[8], new long[] {8}).write(x);
    byte[] whole = Files.readAllBytes(x);
    Files.write(x, Arrays.copyOf(whole, whole.length - 1));
    assertTrue(normalize("--op", "layer").err.contains("x.npy ends too early"));
    Files.write(x, Arrays.copyOf(whole, whole.length + 1));
    assertTrue(normalize("--op", "layer").err.contains("x.npy has data after its array"));
    x = folder;
    assertTrue(normalize("--op", "layer").err.contains("is a directory"));
  }

  @Test
  void outputsThatCannotBeWritten() {
    y = folder.resolve("no/such/y.npy");
    assertTrue(normalize("--op", "layer").err.contains("the folder of --output does not exist"));
    for (Path directory : new Path[] {folder, Path.of("/")}) {
      y = directory;
      Outcome outcome = normalize("--op", "layer");
      assertEquals(2, outcome.status);
      assertTrue(outcome.err.contains("--output is a directory"), outcome.err);
    }
  }

  @Test
  void helpIsEverywhere() {
    for (String[] args :
        new String[][] {{"--help"}, {"doctor", "--help"}, {"normalize", "--help"}}) {
      Outcome outcome = run(args);
      assertEquals(0, outcome.status);
      assertTrue(outcome.out.startsWith("Usage: nativenorm"), outcome.out);
    }
    assertTrue(run("--version").out.contains("ONEDNN: oneDNN 3.11"));
  }

  @Test
  void doctorFindsEveryLayerRight() {
    Outcome outcome = run();
    assertEquals(0, outcome.status, outcome.out);
    List<String> engines =
        TestEngines.hasFused()
            ? List.of("fused", "onednn", "reference")
            : List.of("onednn", "reference");
    for (String layer : List.of("BatchNorm", "LayerNorm", "RmsNorm", "GroupNorm", "InstanceNorm")) {
      for (String direction : List.of("inference", "training", "backward")) {
        for (String engine : engines) {
          assertTrue(
              outcome
                  .out
                  .lines()
                  .anyMatch(
                      line ->
                          line.startsWith(layer)
                              && line.contains(direction)
                              && line.contains(engine)
                              && line.endsWith("ok")),
              layer + " " + direction + " " + engine + " is not in\n" + outcome.out);
        }
      }
    }
    assertFalse(outcome.out.contains("WRONG"), outcome.out);
    // Five layers, three of them in two layouts, three directions: AUTO takes one engine for each.
    List<String> taken = outcome.out.lines().filter(line -> line.contains("takes it")).toList();
    assertEquals(8 * 3, taken.size(), outcome.out);
    String speedUpAndShare = ".* [0-9.]+x  +[0-9]+\\.[0-9]{2}  ok";
    assertEquals(
        TestEngines.hasFused(),
        taken.stream().allMatch(line -> line.matches(speedUpAndShare)),
        outcome.out);
    for (Backend engine : TestEngines.named().toList()) {
      String start = "start with " + engine + " +cold +[0-9]{2,} ms, warm +[0-9]{2,} ms";
      assertEquals(1, outcome.out.lines().filter(l -> l.matches(start)).count(), outcome.out);
    }
  }
}
