package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * Safetensors files that are no such files: one exception that names the file and says what is
 * wrong, whatever it is. A failure of a random one names its seed, which {@code
 * -Dnativenorm.seed=<number>} runs alone.
 */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "a file that is mapped cannot be removed")
class DamagedWeightsTest {
  private static final int FILES = 200;

  /** Of mutated bytes: 1, 2, 4 up to 256 in a file, 57 on average. */
  private static final int BYTES = 1_000_000;

  private static final int DOUBLINGS = 9;

  @TempDir private Path folder;

  private int taken;

  private int refused;

  private static SafetensorsBytes good() {
    return new SafetensorsBytes()
        .add("n", "I64", "[]", SafetensorsBytes.longs(7))
        .add("bn.weight", 1, 2, 3)
        .add("bn.bias", "F32", "[1,3,1,1]", SafetensorsBytes.floats(4, 5, 6))
        .add("b", "BF16", "[2]", SafetensorsBytes.shorts((short) 0x3f80, (short) 0x4000))
        .add(
            "h",
            "F16",
            "[2,2]",
            SafetensorsBytes.shorts((short) 1, (short) 2, (short) 3, (short) 4))
        .add("e", "F32", "[0,5]", new byte[0]);
  }

  private Path file(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("damaged"), bytes);
  }

  private void refused(String why, byte[] bytes) throws IOException {
    Path file = file(bytes);
    IOException e = assertThrows(IOException.class, () -> Weights.read(file, ""), why);
    assertEquals(file + " cannot be read as a safetensors file: " + why, e.getMessage());
  }

  private void refusedHeader(String why, String header) throws IOException {
    refused(why, SafetensorsBytes.of(header, new byte[8]));
  }

  /** A header of one tensor of two floats, and what is wrong with it. */
  private void refusedEntry(String why, String entry) throws IOException {
    refusedHeader(why, "{\"a\":" + entry + "}");
  }

  @Test
  void lengthsThatAreNotTheFiles() throws IOException {
    byte[] good = good().file(0);
    refused("it has 0 bytes, fewer than the length of a header", new byte[0]);
    refused("it has 7 bytes, fewer than the length of a header", new byte[7]);
    byte[] text = "{}".getBytes(StandardCharsets.UTF_8);
    for (long length : new long[] {3, 1L << 31, 1L << 62, -1, Long.MIN_VALUE}) {
      refused(
          "its header of " + Long.toUnsignedString(length) + " bytes is longer than the file",
          SafetensorsBytes.of(length, text, new byte[0]));
    }
    refused("its header does not begin with {", new byte[8]);
    refused(
        "the tensor \"h\" (F16, 8 bytes) ends at byte "
            + good.length
            + ", but the file has "
            + (good.length - 1)
            + "; it may have been cut",
        Arrays.copyOf(good, good.length - 1));
    refused(
        "its tensors end at byte " + good.length + ", but the file has " + (good.length + 1),
        Arrays.copyOf(good, good.length + 1));
  }

  @Test
  void textsThatAreNoHeader() throws IOException {
    String wrong = "its header is not as it should be: ";
    refusedHeader("its header does not begin with {", " {}");
    refusedHeader("its header does not begin with {", "[]");
    refusedHeader("its header is no JSON at line 1 column 2 path $.", "{");
    refusedHeader(
        wrong + "Expected BEGIN_OBJECT but was NUMBER at line 1 column 7 path $.a", "{\"a\":1}");
    refusedHeader("its header is no JSON at line 1 column 4 path $", "{}{}");
    refusedHeader("its header has \"a\" twice", "{\"a\":" + TWO + ",\"a\":" + TWO + "}");
    refusedHeader("its header has \"a\" twice", "{\"a\":" + TWO + ",\"\\u0061\":" + TWO + "}");
    refusedHeader(
        "\"__metadata__\" has a NUMBER where a text should be", "{\"__metadata__\":{\"a\":1}}");
    byte[] latin1 = "{\"\u00e9\":1}".getBytes(StandardCharsets.ISO_8859_1);
    refused("its header is not in UTF-8", SafetensorsBytes.of(latin1.length, latin1, new byte[0]));
  }

  private static final String TWO = "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";

  @Test
  void tensorsThatAreNone() throws IOException {
    refusedEntry("the tensor \"a\" has not all of dtype, shape and two data_offsets", "{}");
    refusedEntry(
        "the tensor \"a\" has not all of dtype, shape and two data_offsets",
        TWO.replace("[0,8]", "[8]"));
    refusedEntry("the tensor \"a\" has more than 2 numbers", TWO.replace("[0,8]", "[0,8,8]"));
    refusedEntry("the tensor \"a\" has \"dtype\" twice", TWO.replace("{", "{\"dtype\":\"F32\","));
    refusedEntry("\"a\" has a NUMBER where a text should be", TWO.replace("\"F32\"", "32"));
    refusedEntry(
        "the tensor \"a\" has a STRING where a number should be", TWO.replace("[2]", "[\"2\"]"));
    refusedEntry(
        "the tensor \"a\" has a BEGIN_ARRAY where a number should be", TWO.replace("[2]", "[[2]]"));
    refusedEntry("the tensor \"a\" has a field that is not known", TWO.replace("{", "{\"x\":[],"));
    for (String number : new String[] {"-2", "2.5", "2e0", "9223372036854775808", "1e999"}) {
      refusedEntry(
          "the tensor \"a\" has the number " + number + ", which is no size",
          TWO.replace("[2]", "[" + number + "]"));
    }
    refusedEntry(
        "the tensor \"a\" has the number -8, which is no size", TWO.replace("[0,8]", "[-8,0]"));
    refusedEntry(
        "the tensor \"a\" has more than 64 numbers",
        TWO.replace("[2]", "[" + "1,".repeat(64) + "2]"));
    for (String shape :
        new String[] {
          "[4294967296,4294967296]", "[2305843009213693952,2]", "[4611686018427387904,4,0]"
        }) {
      refusedEntry("the tensor \"a\" has too many elements", TWO.replace("[2]", shape));
    }
    refusedEntry(
        "the tensor \"a\" has 8 bytes, but its type and shape take 12", TWO.replace("[2]", "[3]"));
    refusedEntry("the tensor \"a\" lies from 8 to 0, nowhere", TWO.replace("[0,8]", "[8,0]"));
    refusedEntry(
        "the tensor \"a\" lies from 9223372036854775799 to 9223372036854775807, nowhere",
        TWO.replace("[0,8]", "[9223372036854775799,9223372036854775807]"));
  }

  @Test
  void placesThatAreNotOneAfterTheOther() throws IOException {
    String a = SafetensorsBytes.entry("a", "F32", "[1]", 0, 4);
    for (String[] second :
        new String[][] {
          {
            SafetensorsBytes.entry("b", "F32", "[1]", 2, 6),
            "begins at byte B, within another one up to byte E"
          },
          {
            SafetensorsBytes.entry("b", "F32", "[1]", 0, 4),
            "begins at byte B, within another one up to byte E"
          },
          {
            SafetensorsBytes.entry("b", "F32", "[0]", 2, 2),
            "begins at byte B, within another one up to byte E"
          },
          {
            SafetensorsBytes.entry("b", "U8", "[3]", 5, 8),
            "begins at byte B, behind a hole up to byte E"
          },
        }) {
      String header = "{" + a + "," + second[0] + "}";
      String[] offsets = second[0].replaceAll(".*\\[(\\d+),(\\d+)]}", "$1 $2").split(" ");
      long start = 8 + header.length();
      long from = Long.parseLong(offsets[0]);
      long bytes = Long.parseLong(offsets[1]) - from;
      String type = second[0].contains("U8") ? "U8" : "F32";
      refusedHeader(
          "the tensor \"b\" ("
              + type
              + ", "
              + bytes
              + " bytes) "
              + second[1].replace("B", "" + (start + from)).replace("E", "" + (start + 4)),
          header);
    }
  }

  /** Neither depth nor length of anything is the stack's or the heap's. */
  @Test
  void headersThatAreDeepOrLong() throws IOException {
    int deep = 1_000_000;
    String open = "[".repeat(deep);
    refusedEntry(
        "the tensor \"a\" has a BEGIN_ARRAY where a number should be", TWO.replace("[2]", open));
    refusedEntry("the tensor \"a\" has a field that is not known", "{\"x\":" + open);
    refusedEntry(
        "the tensor \"a\" has a field that is not known", "{\"x\":" + "{\"x\":".repeat(deep));
    refusedHeader(
        "\"__metadata__\" has a BEGIN_ARRAY where a text should be",
        "{\"__metadata__\":{\"x\":" + open);
    String digits = "9".repeat(deep);
    refusedEntry(
        "its header is no JSON at line 1 column 30 path $...",
        TWO.replace("[2]", "[" + digits + "]"));
    refusedHeader(
        "its header has \"" + "9".repeat(100) + "...\" twice",
        "{\"" + digits + "\":" + TWO + ",\"" + digits + "\":" + TWO + "}");
  }

  /** As ten million names take. The file is long, but there is nothing in it. */
  @Test
  void aHeaderOfHalfAGigabyteIsNotRead() throws IOException {
    Path file = file(SafetensorsBytes.of(520_000_000, new byte[] {'{'}, new byte[0]));
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(600_000_000);
    }
    IOException e = assertThrows(IOException.class, () -> Weights.read(file, ""));
    assertTrue(
        e.getMessage().contains("its header has 520000000 bytes, more than the "), e::toString);
  }

  /** Reads a header of as many tensors as are read in a small heap; all of them are wanted. */
  public static final class ManyNames {
    private ManyNames() {}

    /** Fails if it cannot be done. */
    public static void main(String[] args) throws IOException {
      long most = Runtime.getRuntime().maxMemory() / 32 - 100;
      StringBuilder header = new StringBuilder("{");
      int count = 0;
      while (header.length() < most) {
        header.append(count == 0 ? "" : ",");
        header.append(SafetensorsBytes.entry(Integer.toString(count++, 36), "F32", "[0]", 0, 0));
      }
      byte[] bytes = SafetensorsBytes.of(header.append("}").toString(), new byte[0]);
      header = null;
      Path file = Files.createTempFile("nativenorm", ".safetensors");
      try {
        Files.write(file, bytes);
        bytes = null;
        if (Weights.read(file, "").size() != count) {
          throw new IllegalStateException("not all are there");
        }
        System.out.println(count + " tensors");
      } finally {
        Files.delete(file);
      }
    }
  }

  @Test
  void theLongestHeaderFitsIntoTheHeap() throws Exception {
    JavaProcess process = JavaProcess.run(ManyNames.class, Map.of(), "-Xmx64m", "-XX:+UseSerialGC");
    assertEquals(0, process.status(), process.output());
    assertTrue(process.output().contains(" tensors"), process.output());
  }

  private static LongStream seeds(int count) {
    Long wanted = Long.getLong("nativenorm.seed");
    long first = System.nanoTime();
    System.out.println("DamagedWeightsTest: -Dnativenorm.seed from " + first);
    return wanted == null ? LongStream.range(first, first + count) : LongStream.of(wanted);
  }

  /** Damages that a header or file may have, any number of them, one on top of the other. */
  private static byte[] damaged(Random random) {
    String header = good().header();
    int times = 1 + random.nextInt(3);
    for (int i = 0; i < times; i++) {
      header = damaged(header, random);
    }
    byte[] data = good().data();
    data = random.nextInt(6) == 0 ? Arrays.copyOf(data, random.nextInt(2 * data.length)) : data;
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    long length =
        switch (random.nextInt(12)) {
          case 0 -> random.nextLong();
          case 1 -> random.nextInt(2 * text.length);
          case 2 -> -random.nextInt(100);
          default -> text.length;
        };
    byte[] file = SafetensorsBytes.of(length, text, data);
    return random.nextInt(8) == 0 ? Arrays.copyOf(file, random.nextInt(file.length)) : file;
  }

  private static final String[] PIECES = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "NaN",
    "-1",
    "0",
    "1e400",
    "9223372036854775807",
    "4294967296",
    "\"F32\"",
    "\"F64\"",
    "\"bn.bias\":{}",
    "\u00e9",
    "\n",
    " ",
    "[[[[[[[[",
    "\"__metadata__\":{\"a\":\"b\"},",
    "\"shape\":[1],"
  };

  private static String damaged(String header, Random random) {
    int at = random.nextInt(header.length() + 1);
    int end = Math.min(header.length(), at + random.nextInt(12));
    String piece = PIECES[random.nextInt(PIECES.length)];
    UnaryOperator<String> insert = text -> header.substring(0, at) + text + header.substring(end);
    return switch (random.nextInt(7)) {
      case 0 -> insert.apply("");
      case 1 -> insert.apply(piece.repeat(1 + random.nextInt(1000)));
      case 2 -> insert.apply(header.substring(at, end).repeat(2));
      case 3 -> header.replaceFirst("\\[\\d+", "[" + random.nextLong());
      case 4 -> header.replaceFirst("\\d+]", random.nextInt(60) + "]");
      case 5 ->
          header.replaceAll("F32", new String[] {"F16", "F64", "I64", "Q"}[random.nextInt(4)]);
      default -> insert.apply(piece);
    };
  }

  /** Reads a file that may be anything, and every element of what it is read as. */
  private void read(byte[] bytes, long seed) {
    String replay = "; replay with -Dnativenorm.seed=" + seed;
    Path file = folder.resolve("damaged");
    try {
      Files.deleteIfExists(file); // cutting it takes a millisecond
      Files.write(file, bytes);
      long total = 0;
      for (Tensor tensor : Weights.read(file, "").values()) {
        total += tensor.size() * tensor.dataType().bytes();
        assertEquals(tensor.size(), tensor.toArray().length, replay);
      }
      assertTrue(total <= bytes.length, "more than the file has" + replay);
      taken++;
    } catch (IOException | IllegalArgumentException e) {
      String message = String.valueOf(e.getMessage());
      refused++;
      boolean says = message.startsWith(file.toString()) && message.length() < 1000;
      assertTrue(says && !message.contains("\n" + "See"), () -> message + replay);
    } catch (RuntimeException | Error e) {
      throw new AssertionError(e + replay, e);
    }
  }

  @Test
  void randomDamages() {
    seeds(FILES).forEach(seed -> read(damaged(new Random(seed)), seed));
    assertTrue(refused > taken, () -> refused + " were refused, " + taken + " taken");
  }

  @Test
  void randomBytes() {
    byte[] good = good().file(0);
    seeds(BYTES * DOUBLINGS / ((1 << DOUBLINGS) - 1))
        .forEach(
            seed -> {
              Random random = new Random(seed);
              byte[] bytes = good.clone();
              int count = 1 << random.nextInt(DOUBLINGS);
              for (int i = 0; i < count; i++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
              }
              read(bytes, seed);
            });
    assertTrue(refused > taken, () -> refused + " were refused, " + taken + " taken");
    assertTrue(taken > 0 || Long.getLong("nativenorm.seed") != null, "none were taken");
  }
}
