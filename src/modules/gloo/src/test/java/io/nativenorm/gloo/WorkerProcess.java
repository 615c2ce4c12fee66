package io.nativenorm.gloo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A {@link WorkerMain}, seen from the test. */
final class WorkerProcess {
  /** What its answers begin with. */
  static final String ANSWER = "answer: ";

  /** For a process to start, to answer, or to end: more than any timeout of the tests. */
  private static final int PATIENCE_SECONDS = 60;

  private final Process process;
  private final PrintStream lines;
  private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();

  WorkerProcess() {
    try {
      process =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Xmx128m",
                  "-XX:+UseSerialGC",
                  "-XX:TieredStopAtLevel=1",
                  "-cp",
                  System.getProperty("java.class.path"),
                  WorkerMain.class.getName())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    lines = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
    Thread reader = new Thread(this::read);
    reader.setDaemon(true);
    reader.start();
  }

  private void read() {
    try (BufferedReader from =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = from.readLine(); line != null; line = from.readLine()) {
        if (line.startsWith(ANSWER)) {
          answers.add(line.substring(ANSWER.length()));
        }
      }
    } catch (IOException killed) {
      return;
    }
  }

  /** Tells it what to do, and does not wait. */
  void tell(Object... words) {
    StringBuilder line = new StringBuilder();
    for (Object word : words) {
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.println(line);
  }

  String answer() throws InterruptedException {
    String answer = answers.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    assertTrue(answer != null, "no answer, the process is " + process);
    return answer;
  }

  void expect(String answer) throws InterruptedException {
    assertEquals(answer, answer());
  }

  /** With SIGKILL. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    assertTrue(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS));
  }

  /** Nothing more is asked of it: it has to end by itself. */
  void end() throws InterruptedException {
    if (process.isAlive()) {
      lines.close();
      boolean ended = process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS);
      process.destroyForcibly();
      assertTrue(ended, "a worker was left running");
      assertEquals(0, process.exitValue());
    }
  }
}
