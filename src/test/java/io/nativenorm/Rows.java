package io.nativenorm;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** A program of a user's: normalizes 64 rows of 1, 2, 3, 4, 1, 2, ..., and says on what. */
public final class Rows {
  private Rows() {}

  /** {@code Rows [FILE]}: the file is mapped into memory first, as a C library would be. */
  public static void main(String[] args) throws IOException {
    if (args.length > 0) {
      try (FileChannel file = FileChannel.open(Path.of(args[0]))) {
        file.map(FileChannel.MapMode.READ_ONLY, 0, Files.size(Path.of(args[0])));
      }
    }
    float[] values = new float[64 * 1024];
    for (int i = 0; i < values.length; i++) {
      values[i] = 1 + i % 4;
    }
    try (LayerNorm norm = LayerNorm.of(1024);
        Tensor x = Tensor.of(values, 64, 1024);
        Tensor y = norm.forward(x);
        Pass pass = norm.forwardTraining(x);
        Gradients gradients = pass.backward(y)) {
      System.out.printf("y %.4f %.4f%n", y.toArray()[0], y.toArray()[3]);
      System.out.printf("dbias %.4f%n", gradients.bias().toArray()[0]);
      System.out.println(norm.explain(x));
      System.out.println(NativeNorm.describe());
    }
  }
}
