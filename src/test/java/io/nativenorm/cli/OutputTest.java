package io.nativenorm.cli;

import static io.nativenorm.cli.SpecialFiles.assertNames;
import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Regular files are replaced as a whole, keeping what they had; all else is written to. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "made with mkfifo, mknod, links and modes")
class OutputTest {
  private static final float[] RESULT = {-1, 1, 1, -1};

  @TempDir private Path folder;
  private Path x;
  private Path y;

  @BeforeEach
  void files() throws Exception {
    x = NpyFiles.write(folder.resolve("x.npy"), new float[] {1, 3, 9, 7}, 2, 2);
    y = folder.resolve("y.npy");
  }

  private CommandLineRun normalizeTo(Path output) {
    return CommandLineRun.normalize(x, output);
  }

  private static void assertResult(Path path) throws Exception {
    assertTrue(Files.isRegularFile(path));
    assertArrayEquals(RESULT, NpyFiles.values(path), 1e-3f);
    assertArrayEquals(new long[] {2, 2}, NpyFiles.shape(path));
  }

  @Test
  void aDeviceIsWrittenTo() throws Exception {
    Path device = SpecialFiles.device(folder.resolve("null"), 3);
    normalizeTo(device).assertDone();
    SpecialFiles.assertSpecial(device);
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("null"));
    normalizeTo(link).assertDone();
    assertTrue(Files.isSymbolicLink(link));
    SpecialFiles.assertSpecial(device);
    assertNames(folder, "link", "null", "x.npy");
  }

  @Test
  void aFullDeviceIsSaidInOneLine() throws Exception {
    Path device = SpecialFiles.device(folder.resolve("full"), 7);
    normalizeTo(device).assertRefused("full cannot be written: No space left on device");
    SpecialFiles.assertSpecial(device);
    assertNames(folder, "full", "x.npy");
  }

  @Test
  void aPipeIsWrittenTo() throws Exception {
    Path pipe = SpecialFiles.fifo(folder.resolve("pipe"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), pipe);
    for (Path name : new Path[] {pipe, link}) {
      CompletableFuture<byte[]> read = CompletableFuture.supplyAsync(() -> all(pipe));
      normalizeTo(name).assertDone();
      Files.write(y, read.get(30, SECONDS));
      assertResult(y);
      SpecialFiles.assertSpecial(pipe);
      assertTrue(Files.isSymbolicLink(link));
    }
  }

  private static byte[] all(Path path) {
    try {
      return Files.readAllBytes(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aPipeThatNobodyReadsAnyMoreEndsItQuietly() throws Exception {
    float[] many = new float[1 << 18]; // more than a pipe holds
    NpyFiles.write(x, many, 1 << 10, 1 << 8);
    Path pipe = SpecialFiles.fifo(folder.resolve("pipe"));
    CompletableFuture<Integer> read =
        CompletableFuture.supplyAsync(
            () -> {
              try (InputStream in = Files.newInputStream(pipe)) {
                return in.read();
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    CommandLineRun run = normalizeTo(pipe);
    assertEquals(0x93, read.get(30, SECONDS));
    assertEquals("", run.err() + run.out());
    assertEquals(Main.READER_GONE, run.status());
    SpecialFiles.assertSpecial(pipe);
  }

  @Test
  void aLinkIsFollowed() throws Exception {
    Path sub = Files.createDirectory(folder.resolve("sub"));
    Files.writeString(sub.resolve("target"), "old");
    Path first = Files.createSymbolicLink(sub.resolve("first"), Path.of("target"));
    Path second = Files.createSymbolicLink(folder.resolve("second"), Path.of("sub/first"));
    normalizeTo(second).assertDone();
    assertTrue(Files.isSymbolicLink(first) && Files.isSymbolicLink(second));
    assertResult(sub.resolve("target"));
    assertNames(sub, "first", "target");
  }

  @Test
  void aLinkToNothingYetMakesIt() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("new.npy"));
    normalizeTo(link).assertDone();
    assertTrue(Files.isSymbolicLink(link));
    assertResult(folder.resolve("new.npy"));
    Path lost = Files.createSymbolicLink(folder.resolve("lost"), Path.of("no/such/folder"));
    normalizeTo(lost).assertRefused("the folder of --output does not exist: ");
    assertNames(folder, "link", "lost", "new.npy", "x.npy");
  }

  @Test
  void linksInACircleAreRefused() throws Exception {
    Files.createSymbolicLink(folder.resolve("a"), Path.of("b"));
    Path b = Files.createSymbolicLink(folder.resolve("b"), Path.of("a"));
    normalizeTo(b).assertRefused("b cannot be written: ");
    assertNames(folder, "a", "b", "x.npy");
  }

  @Test
  void theInputMayBeTheOutput() throws Exception {
    Path other = Files.createLink(folder.resolve("other.npy"), x);
    normalizeTo(x).assertDone();
    assertResult(x);
    assertArrayEquals(new float[] {1, 3, 9, 7}, NpyFiles.values(other)); // the name was replaced
    Path link = Files.createSymbolicLink(folder.resolve("link"), other);
    CommandLineRun.normalize(other, link).assertDone();
    assertResult(other);
    Files.delete(link);
    NpyFiles.write(x, new float[] {1, 3, 9, 7}, 2, 2);
    Path hard = Files.createLink(folder.resolve("hard.npy"), x);
    normalizeTo(hard).assertDone();
    assertResult(hard);
    assertArrayEquals(new float[] {1, 3, 9, 7}, NpyFiles.values(x));
    assertNames(folder, "hard.npy", "other.npy", "x.npy");
  }

  @ParameterizedTest
  @ValueSource(strings = {"rw-------", "rw-r-----", "rw-rw-rw-", "rwxr-x--x"})
  void modeAndOwnerAreKept(String mode) throws Exception {
    Files.writeString(y, "old");
    Files.setPosixFilePermissions(y, PosixFilePermissions.fromString(mode));
    boolean root = Files.getOwner(y).getName().equals("root");
    if (root) {
      Files.setAttribute(y, "unix:uid", 12345);
      Files.setAttribute(y, "unix:gid", 23456);
    }
    normalizeTo(y).assertDone();
    assertResult(y);
    assertEquals(mode, PosixFilePermissions.toString(Files.getPosixFilePermissions(y)));
    if (root) {
      assertEquals(12345, Files.getAttribute(y, "unix:uid"));
      assertEquals(23456, Files.getAttribute(y, "unix:gid"));
    }
  }

  @Test
  void aNewFileHasTheModeOfAnyNewFile() throws Exception {
    Path plain = Files.writeString(folder.resolve("plain"), "");
    normalizeTo(y).assertDone();
    assertEquals(Files.getPosixFilePermissions(plain), Files.getPosixFilePermissions(y));
  }

  @ParameterizedTest
  @ValueSource(ints = {240, 251, 255})
  void aNameMayBeAsLongAsNamesCanBe(int length) throws Exception {
    Path path = folder.resolve("y".repeat(length));
    normalizeTo(path).assertDone();
    assertResult(path);
    normalizeTo(path).assertDone(); // replaced
    assertNames(folder, "x.npy", path.getFileName().toString());
  }

  @Test
  void aNameThatIsTooLongIsSaidInOneLine() throws Exception {
    normalizeTo(folder.resolve("y".repeat(256))).assertRefused("cannot be written: File name too");
    normalizeTo(folder.resolve("line\nline\u001b[31m/y")).assertRefused("does not exist: ");
    assertNames(folder, "x.npy");
  }

  @Test
  void foldersThatCannotBeWrittenTo() throws Exception {
    normalizeTo(folder).assertRefused("--output is a directory: ");
    normalizeTo(Path.of("/")).assertRefused("--output is a directory: ");
    normalizeTo(folder.resolve("no/such/y.npy"))
        .assertRefused("the folder of --output does not exist: ");
    normalizeTo(x.resolve("y.npy")).assertRefused("y.npy cannot be written: Not a directory");
    if (Files.isDirectory(Path.of("/proc/self"))) { // where root cannot make files either
      normalizeTo(Path.of("/proc/self/y.npy")).assertRefused("");
    }
    assertNames(folder, "x.npy");
  }

  @Test
  void whatFailsLeavesTheOldFile() throws Exception {
    Files.writeString(y, "old");
    // The largest size of a file stands for a full disk.
    NpyFiles.write(x, new float[1 << 14], 1 << 7, 1 << 7);
    CommandLineProcess run =
        CommandLineProcess.shell(
            folder, "ulimit -f 16; nativenorm normalize --op layer --input x.npy --output y.npy");
    assertEquals(2, run.status(), run.err());
    assertEquals(
        "nativenorm normalize: y.npy cannot be written: File too large", run.err().strip());
    assertEquals("old", Files.readString(y));
    assertNames(folder, "x.npy", "y.npy");
  }

  /** Writes a part and waits. */
  static final class Writer {
    private Writer() {}

    public static void main(String[] args) throws Exception {
      Output.of(Path.of(args[0]), System.out)
          .write(
              channel -> {
                channel.write(ByteBuffer.allocate(1000));
                System.out.println("written");
                System.out.flush();
                try {
                  Thread.sleep(60_000);
                } catch (InterruptedException e) {
                  throw new IOException(e);
                }
              });
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TERM", "INT", "HUP"})
  void aSignalRemovesWhatIsWrittenInPart(String signal) throws Exception {
    Files.writeString(y, "old");
    List<String> command = CommandLineProcess.java(Writer.class);
    command.add(y.toString());
    if (OS.LINUX.isCurrentOs()) { // where these tests run under nohup it would inherit that
      command.addAll(0, List.of("env", "--default-signal=INT,HUP"));
    }
    Process process = new ProcessBuilder(command).start();
    try {
      assertEquals('w', process.getInputStream().read());
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(3, files.count()); // the part is there
      }
      // The shell's own: a bare Debian has no program of that name.
      String kill = "kill -" + signal + " " + process.pid();
      assertEquals(0, new ProcessBuilder("sh", "-c", kill).start().waitFor());
      assertFalse(CommandLineProcess.end(process).status() == 0);
    } finally {
      process.destroyForcibly();
    }
    assertNames(folder, "x.npy", "y.npy");
    assertEquals("old", Files.readString(y));
  }
}
