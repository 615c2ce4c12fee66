package io.nativenorm.cli;

import java.io.IOException;
import java.nio.file.Path;

/** The command line's .npy files for tests of other packages. */
public final class NpyFiles {
  private NpyFiles() {}

  /** The elements of a file. */
  public static float[] values(Path path) throws IOException {
    return read(path).values();
  }

  /** The shape of a file. */
  public static long[] shape(Path path) throws IOException {
    return read(path).shape();
  }

  private static NpyFile read(Path path) throws IOException {
    try {
      return NpyFile.read(path);
    } catch (UnusableInputException e) {
      throw new IOException(e.getMessage());
    }
  }
}
