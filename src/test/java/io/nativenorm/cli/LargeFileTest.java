package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.SameOnAnyJvm;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A file of 411 MB, which has holes, in a process with little memory. */
@SameOnAnyJvm
class LargeFileTest {
  private static final int ROWS = 8192;
  private static final int COLUMNS = 12544;
  private static final long BYTES = 4L * ROWS * COLUMNS;

  @TempDir private Path folder;
  private Path x;
  private Path y;

  @AfterEach
  void shrink() throws Exception {
    Files.deleteIfExists(y); // before the next test takes as much of the disk
  }

  private void write(long rows) throws IOException {
    x = folder.resolve("x.npy");
    y = folder.resolve("y.npy");
    ByteBuffer lastRow = ByteBuffer.allocate(4 * COLUMNS).order(ByteOrder.LITTLE_ENDIAN);
    while (lastRow.hasRemaining()) {
      lastRow.putFloat(lastRow.position() < 2 * COLUMNS ? 3 : 5);
    }
    try (FileChannel file =
        FileChannel.open(x, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      int header = file.write(ByteBuffer.wrap(NpyFiles.bytes(new float[0], rows, COLUMNS)));
      file.write(lastRow.flip(), header + 4L * (rows - 1) * COLUMNS);
    }
  }

  private CommandLineProcess normalize(String input, String... jvmOptions) throws Exception {
    Path path = input.equals("-") ? Path.of(input) : x;
    List<String> command = new ArrayList<>(CommandLineProcess.java(Main.class, jvmOptions));
    command.addAll(List.of(CommandLineRun.arguments(path, y)));
    return CommandLineProcess.end(new ProcessBuilder(command).redirectInput(x.toFile()).start());
  }

  /** On the file itself or in the one copy, while the heap has no room for any. */
  @ParameterizedTest
  @ValueSource(strings = {"x.npy", "-"})
  void takesMemoryForOneCopy(String input) throws Exception {
    write(ROWS);
    CommandLineProcess run =
        normalize(
            input,
            "-Xmx64m",
            "-Dorg.bytedeco.javacpp.maxBytes=450m",
            "-Dorg.bytedeco.javacpp.maxPhysicalBytes=4g");
    assertEquals("", run.err());
    assertEquals(0, run.status());
    assertEquals(BYTES + 128, Files.size(y));
    try (FileChannel file = FileChannel.open(y)) {
      ByteBuffer rows = ByteBuffer.allocate(2 * 4 * COLUMNS).order(ByteOrder.LITTLE_ENDIAN);
      file.read(rows, Files.size(y) - rows.capacity());
      float[] got = new float[2 * COLUMNS];
      rows.flip().asFloatBuffer().get(got);
      for (int i = 0; i < got.length; i++) {
        float expected = i < COLUMNS ? 0 : i < COLUMNS + COLUMNS / 2 ? -1 : 1;
        assertEquals(expected, got[i], 1e-4f, "element " + i);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"x.npy", "-"})
  void saysInOneLineThatItIsTooLarge(String input) throws Exception {
    write(ROWS);
    CommandLineProcess run = normalize(input, "-Xmx256m");
    assertTooLarge(run);
  }

  @Test
  void aHeaderOnAPipeMayPromiseAnything() throws Exception {
    write(1);
    Files.write(x, NpyFiles.bytes(new float[6], 1L << 40, 2));
    CommandLineProcess run =
        CommandLineProcess.shell(
            folder,
            "cat x.npy | nativenorm normalize --op layer --input - --output " + y.getFileName());
    assertTooLarge(run);
  }

  private void assertTooLarge(CommandLineProcess run) {
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains("too large for the memory that is there"), run.err());
    assertEquals(2, run.status());
    assertEquals("", run.out());
    assertFalse(Files.exists(y));
  }
}
