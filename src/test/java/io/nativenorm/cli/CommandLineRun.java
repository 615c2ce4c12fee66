package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.stream.Stream;

/** A command run in this process: its exit status and what it wrote. */
record CommandLineRun(int status, byte[] data, String err) {

  static CommandLineRun of(String... args) {
    return reading(new byte[0], args);
  }

  /** With something on standard input. */
  static CommandLineRun reading(byte[] in, String... args) {
    PrintStream err = System.err;
    ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
    ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
    try {
      System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
      int status = Main.run(new ByteArrayInputStream(in), outBytes, args);
      return new CommandLineRun(
          status,
          outBytes.toByteArray(),
          CommandLineProcess.ownWords(errBytes.toString(StandardCharsets.UTF_8)));
    } finally {
      System.setErr(err);
    }
  }

  /** LayerNorm over the last dimension, unless the options say otherwise, on one file. */
  static CommandLineRun normalize(Path input, Path output, String... options) {
    return of(arguments(input, output, options));
  }

  static String[] arguments(Path input, Path output, String... options) {
    boolean named = Stream.of(options).anyMatch(option -> option.startsWith("--op"));
    return Stream.of(
            Stream.of("normalize", "--input", input.toString(), "--output", output.toString()),
            named ? Stream.<String>empty() : Stream.of("--op", "layer"),
            Stream.of(options))
        .flatMap(part -> part)
        .toArray(String[]::new);
  }

  String out() {
    return new String(data, StandardCharsets.UTF_8);
  }

  void assertDone() {
    assertEquals("", err);
    assertEquals(0, status);
  }

  /** Refused with exit status 2, in one line that says why, and nothing on standard output. */
  void assertRefused(String why) {
    assertEquals(2, status, err);
    assertEquals(1, err.lines().count(), err);
    assertTrue(err.startsWith("nativenorm normalize: "), err);
    assertTrue(err.contains(why), err);
    assertEquals("", out());
  }
}
