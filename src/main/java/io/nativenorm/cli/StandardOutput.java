package io.nativenorm.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.util.Locale;
import java.util.Optional;

/** Standard output. It remembers what went wrong, which a PrintWriter above it keeps to itself. */
final class StandardOutput extends OutputStream {
  private final OutputStream out;
  private IOException failure;

  StandardOutput(OutputStream out) {
    this.out = out;
  }

  /** Why writing failed first, if it did. */
  Optional<IOException> failure() {
    return Optional.ofNullable(failure);
  }

  /**
   * Whether what was written to is a pipe that nobody reads from any more, as the system says it
   * ("Broken pipe", "The pipe is being closed").
   */
  static boolean isBrokenPipe(Throwable e) {
    return e instanceof IOException
        && e.getMessage() != null
        && e.getMessage().toLowerCase(Locale.ROOT).contains("pipe");
  }

  private interface Write {
    void run() throws IOException;
  }

  private void run(Write write) throws IOException {
    try {
      write.run();
    } catch (IOException e) {
      failure = failure == null ? e : failure;
      throw e;
    }
  }

  @Override
  public void write(int b) throws IOException {
    run(() -> out.write(b));
  }

  @Override
  public void write(byte[] bytes, int from, int count) throws IOException {
    run(() -> out.write(bytes, from, count));
  }

  @Override
  public void flush() throws IOException {
    run(out::flush);
  }
}
