package io.nativenorm.cli;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.SameOnAnyJvm;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Standard input and output, and pipes, in the place of files. */
@SameOnAnyJvm
class StreamsTest {
  private static final float[] RESULT = {-1, 1, 1, -1};
  private static final Path STANDARD = Path.of("-");

  @TempDir private Path folder;
  private byte[] array;
  private Path x;
  private Path y;

  @BeforeEach
  void files() throws Exception {
    array = NpyFiles.bytes(new float[] {1, 3, 9, 7}, 2, 2);
    x = Files.write(folder.resolve("x.npy"), array);
    y = folder.resolve("y.npy");
  }

  private void assertResult(byte[] file) throws Exception {
    Path written = Files.write(folder.resolve("written.npy"), file);
    assertArrayEquals(RESULT, NpyFiles.values(written), 1e-3f);
    assertArrayEquals(new long[] {2, 2}, NpyFiles.shape(written));
  }

  @Test
  void standardInputToAFile() throws Exception {
    CommandLineRun run = CommandLineRun.reading(array, CommandLineRun.arguments(STANDARD, y));
    run.assertDone();
    assertResult(Files.readAllBytes(y));
    assertTrue(run.out().contains("LayerNorm([2]) on F32"), run.out());
  }

  @Test
  void standardOutputCarriesTheDataAlone() throws Exception {
    CommandLineRun run = CommandLineRun.normalize(x, STANDARD);
    assertEquals(0, run.status(), run.err());
    assertResult(run.data());
    assertTrue(run.err().contains("LayerNorm([2]) on F32"), run.err());
    assertTrue(run.err().contains("written to standard output"), run.err());
    CommandLineRun training =
        CommandLineRun.reading(
            array, CommandLineRun.arguments(STANDARD, STANDARD, "--training", "--backend=java"));
    assertEquals(0, training.status(), training.err());
    assertResult(training.data());
  }

  @Test
  void parametersComeFromStandardInputToo() throws Exception {
    byte[] weight = NpyFiles.bytes(new float[] {10, 100}, 2);
    CommandLineRun.reading(weight, CommandLineRun.arguments(x, y, "--weight", "-")).assertDone();
    assertArrayEquals(new float[] {-10, 100, 10, -100}, NpyFiles.values(y), 1e-1f);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--input - --op layer --weight -",
        "--input x --op layer --weight - --bias -",
        "--input x --op batch --mean - --variance -",
        "--input - --op batch --mean - --variance - --weight -"
      })
  void standardInputIsForOneOption(String options) {
    CommandLineRun.of(("normalize --output " + y + " " + options).split(" "))
        .assertRefused("- is standard input for one option only");
  }

  @Test
  void whatIsWrongOnStandardInputIsNamed() {
    String[] arguments = CommandLineRun.arguments(STANDARD, y);
    CommandLineRun.reading(new byte[0], arguments)
        .assertRefused("standard input is not an .npy file");
    CommandLineRun.reading(Arrays.copyOf(array, array.length - 1), arguments)
        .assertRefused("standard input ends too early");
    CommandLineRun.reading(Arrays.copyOf(array, array.length + 1), arguments)
        .assertRefused("standard input has data after its array");
  }

  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "mkfifo")
  void aPipeIsRead() throws Exception {
    Path pipe = SpecialFiles.fifo(folder.resolve("pipe"));
    CompletableFuture<Void> written =
        CompletableFuture.runAsync(
            () -> {
              try (OutputStream out = Files.newOutputStream(pipe)) {
                out.write(array, 0, 7); // comes in parts
                out.flush();
                out.write(array, 7, array.length - 7);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    CommandLineRun.normalize(pipe, y).assertDone();
    written.get(30, SECONDS);
    assertResult(Files.readAllBytes(y));
    SpecialFiles.assertSpecial(pipe);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "cat x.npy | nativenorm normalize --op layer --input - --output - | cat > y.npy",
        "cat x.npy | nativenorm normalize --op layer --input /dev/stdin --output /dev/stdout > y.npy",
        "cat x.npy | nativenorm normalize --op layer --input /dev/fd/0 --output /dev/fd/1 | cat > y.npy",
      })
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a shell's line")
  void aShellConnectsThem(String line) throws Exception {
    CommandLineProcess run = CommandLineProcess.shell(folder, line);
    assertEquals(0, run.status(), run.err());
    assertTrue(run.err().contains("LayerNorm([2]) on F32"), run.err());
    assertResult(Files.readAllBytes(y));
  }

  @ParameterizedTest
  @ValueSource(strings = {"normalize --op layer --input x.npy --output -", "doctor"})
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a shell's line")
  void aReaderThatGoesAwayEndsItQuietly(String command) throws Exception {
    NpyFiles.write(x, new float[1 << 18], 1 << 10, 1 << 8);
    CommandLineProcess run =
        CommandLineProcess.shell(
            folder, "{ nativenorm " + command + "; echo $? > status; } | sleep 0");
    assertEquals("", run.err());
    assertEquals("141", Files.readString(folder.resolve("status")).strip());
  }

  @ParameterizedTest
  @ValueSource(strings = {"normalize --op layer --input x.npy --output -", "--help"})
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "mknod")
  void aFullOutputIsSaidInOneLine(String command) throws Exception {
    SpecialFiles.device(folder.resolve("full"), 7);
    CommandLineProcess run = CommandLineProcess.shell(folder, "nativenorm " + command + " > full");
    assertEquals(2, run.status());
    String expected = "standard output cannot be written: No space left on device";
    assertEquals("nativenorm: " + expected, run.err().strip());
  }

  /** Where there are no pointers, the elements are copied over the heap. */
  @ParameterizedTest
  @ValueSource(strings = {"--op layer --input x.npy", "--op instance --layout last --input -"})
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a shell's line")
  void withoutNativeCode(String options) throws Exception {
    NpyFiles.write(x, new float[] {1, 9, 3, 7}, 1, 2, 2);
    String classes = System.getProperty("java.class.path");
    String separator = System.getProperty("path.separator");
    String withoutBinaries =
        Pattern.compile(Pattern.quote(separator))
            .splitAsStream(classes)
            .filter(entry -> !entry.matches(".*javacpp-[0-9.]+-[a-z].*"))
            .collect(Collectors.joining(separator));
    CommandLineProcess run =
        CommandLineProcess.shell(
            folder,
            "CLASSES='"
                + withoutBinaries
                + "'; cat x.npy | nativenorm normalize --output y.npy "
                + options);
    assertEquals(0, run.status(), run.err());
    assertTrue(run.out().contains("inference: JAVA"), run.out());
    float[] rows = {-1, 1, -1, 1};
    float[] columns = {-1, 1, 1, -1};
    assertArrayEquals(options.contains("last") ? columns : rows, NpyFiles.values(y), 1e-3f);
  }
}
