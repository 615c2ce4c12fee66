package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.TestEngines;
import java.nio.file.Files;
import java.nio.file.Path;
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

  private Path file(String name, float[] values, long... shape) throws Exception {
    return NpyFiles.write(folder.resolve(name), values, shape);
  }

  @BeforeEach
  void files() throws Exception {
    x = file("x.npy", new float[] {0, 2, 1, 3, 5, 5, 9, 7}, 2, 2, 2);
    y = folder.resolve("y.npy");
  }

  private CommandLineRun normalize(String... options) {
    String[] files = {"normalize", "--input", x.toString(), "--output", y.toString()};
    return CommandLineRun.of(
        Stream.concat(Stream.of(files), Stream.of(options)).toArray(String[]::new));
  }

  private void assertOutput(float[] expected, CommandLineRun outcome) throws Exception {
    outcome.assertDone();
    assertArrayEquals(expected, NpyFiles.values(y), 1e-3f);
    assertArrayEquals(new long[] {2, 2, 2}, NpyFiles.shape(y));
  }

  @Test
  void layer() throws Exception {
    CommandLineRun outcome = normalize("--op", "layer");
    assertOutput(new float[] {-1, 1, -1, 1, 0, 0, 1, -1}, outcome);
    assertTrue(
        outcome.out().contains("LayerNorm([2]) on F32 CHANNELS_FIRST [2, 2, 2]"), outcome.out());
    String winner = TestEngines.hasFused() ? "FUSED, kernel fused " : "ONEDNN, kernel onednn ";
    assertTrue(outcome.out().contains("inference: " + winner), outcome.out());
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
    CommandLineRun outcome =
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
    // The row (5, 5) has no variance and no eps: the bias.
    assertOutput(new float[] {-9, 102, -9, 102, 1, 2, 11, -98}, outcome);
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

  @ParameterizedTest
  @CsvSource({"-1, 1e-5", "-1.01e-5, 1e-5", "NaN, 1e-5", "-Infinity, 1", "-0.5, 0.5", "-1, 0"})
  void aVarianceWithoutARootIsRefused(float value, String eps) throws Exception {
    Path mean = file("mean.npy", new float[] {1, 3}, 2);
    Path variance = file("variance.npy", new float[] {4, value}, 2);
    for (String op : new String[] {"batch", "instance"}) {
      CommandLineRun run =
          normalize("--op", op, "--mean=" + mean, "--variance=" + variance, "--eps", eps);
      run.assertRefused("variance");
      assertTrue(run.err().contains("but got " + value), run.err());
      assertFalse(Files.exists(y));
    }
  }

  @ParameterizedTest
  @CsvSource({"-0.99e-5, 1e-5", "-0.49, 0.5", "-0.0, 0", "0, 1e-5"})
  void aVarianceThatEpsMakesPositiveIsTaken(float value, String eps) throws Exception {
    Path mean = file("mean.npy", new float[] {1, 3}, 2);
    Path variance = file("variance.npy", new float[] {4, value}, 2);
    normalize("--op", "batch", "--mean=" + mean, "--variance=" + variance, "--eps", eps)
        .assertDone();
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
          --op=layer --op=rms            | option '--op' (<op>) should be specified only once
          --op=layer --eps=1 --eps=2     | option '--eps' (<eps>) should be specified only once
          --op=layer --output=z.npy      | option '--output' (FILE) should be specified only once
          --op=layer extra.npy           | Unmatched argument at index 6: 'extra.npy'
          """)
  void whatCannotBeIsRefusedInOneLine(String options, String says) {
    CommandLineRun outcome = normalize(options.split(" "));
    outcome.assertRefused(says);
    assertFalse(Files.exists(y));
  }

  @Test
  void aFailureLeavesAnOldOutputAlone() throws Exception {
    Files.writeString(y, "old");
    Path weight = file("weight.npy", new float[] {1, 2, 3}, 3);
    CommandLineRun outcome = normalize("--op", "layer", "--weight", weight.toString());
    assertEquals(2, outcome.status());
    assertTrue(outcome.err().contains("size mismatch for weight"), outcome.err());
    assertEquals("old", Files.readString(y));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of("weight.npy", "x.npy", "y.npy"), names(files));
    }
  }

  private static List<String> names(Stream<Path> files) {
    return files.map(path -> path.getFileName().toString()).sorted().toList();
  }
}
