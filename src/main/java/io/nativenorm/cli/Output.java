package io.nativenorm.cli;

import io.nativenorm.file.PartialFile;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * Where a result goes: to standard output, into what is no regular file (a device, a pipe), or in
 * the place of a regular file, new or old, which is then there as a whole or not at all. Symbolic
 * links are followed. What can be told of an output is checked before anything is computed.
 */
abstract class Output {
  /** What {@code -} stands beside: this name for the same thing. */
  private static final Path STANDARD_OUTPUT = Path.of("/dev/stdout");

  private final String name;

  private Output(String name) {
    this.name = name;
  }

  /** What is written. */
  interface Content {
    void writeTo(WritableByteChannel channel) throws IOException;
  }

  /**
   * The output of a name.
   *
   * @param path a name; {@code -} and all names of standard output are standard output
   * @param standard standard output
   * @throws UnusableInputException if nothing can be written there
   */
  static Output of(Path path, OutputStream standard) throws UnusableInputException {
    try {
      if (path.equals(Normalize.STANDARD) || isSame(path, STANDARD_OUTPUT)) {
        return toStream(standard);
      }
      BasicFileAttributes found = attributes(path);
      if (found != null && found.isDirectory()) {
        throw new UnusableInputException("--output is a directory: " + path);
      }
      Path file = PartialFile.followed(path);
      boolean unnamed = found != null && !isSame(path, file); // /proc/self/fd/9 of a deleted file
      if (found != null && !Files.isWritable(path)) {
        throw new UnusableInputException("--output is write-protected: " + path);
      }
      return found != null && (!found.isRegularFile() || unnamed)
          ? toSpecialFile(path)
          : toRegularFile(path, file);
    } catch (IOException e) {
      throw new UnusableInputException(path.toString(), "cannot be written", e);
    }
  }

  private static boolean isSame(Path path, Path other) throws IOException {
    return Files.exists(path) && Files.exists(other) && Files.isSameFile(path, other);
  }

  /** Of what a name leads to; null if it leads nowhere yet. */
  private static BasicFileAttributes attributes(Path path) throws IOException {
    try {
      return Files.readAttributes(path, BasicFileAttributes.class);
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  private static Output toStream(OutputStream standard) {
    return new Output("standard output") {
      @Override
      void writeOnce(Content content) throws IOException {
        content.writeTo(Channels.newChannel(standard));
        standard.flush();
      }

      @Override
      boolean isStandard() {
        return true;
      }
    };
  }

  private static Output toSpecialFile(Path path) {
    return new Output(path.toString()) {
      @Override
      void writeOnce(Content content) throws IOException {
        try (FileChannel channel =
            FileChannel.open(
                path, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
          content.writeTo(channel);
        }
      }
    };
  }

  private static Output toRegularFile(Path path, Path file)
      throws FileSystemException, UnusableInputException {
    Path parent = file.getParent();
    Path folder = parent == null ? Path.of("") : parent;
    if (Files.exists(folder) && !Files.isDirectory(folder)) {
      // JDK 17 has said so by now; to JDK 25 such a name is of nothing that is there.
      throw new FileSystemException(path.toString(), null, "Not a directory");
    }
    if (!Files.isDirectory(folder)) {
      throw new UnusableInputException("the folder of --output does not exist: " + folder);
    }
    if (!Files.isWritable(folder)) {
      throw new UnusableInputException("the folder of --output is write-protected: " + folder);
    }
    return new Output(path.toString()) {
      @Override
      void writeOnce(Content content) throws IOException {
        try (PartialFile partial = PartialFile.of(file)) {
          content.writeTo(partial.channel());
          partial.replace();
        }
      }

      @Override
      boolean replaces(Path input) throws IOException {
        return isSame(file, input);
      }
    };
  }

  /** Writes: all of it or, where a file is replaced, nothing. */
  final void write(Content content) throws UnusableInputException {
    try {
      writeOnce(content);
    } catch (IOException e) {
      throw new UnusableInputException(name, "cannot be written", e);
    }
  }

  abstract void writeOnce(Content content) throws IOException;

  /** Whether messages would get into the data. */
  boolean isStandard() {
    return false;
  }

  /** Whether a file is replaced by this output. */
  boolean replaces(Path input) throws IOException {
    return false;
  }

  @Override
  public String toString() {
    return name;
  }
}
