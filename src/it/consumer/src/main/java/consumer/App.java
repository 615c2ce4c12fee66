package consumer;

import io.nativenorm.BatchNorm;
import io.nativenorm.Gradients;
import io.nativenorm.NativeNorm;
import io.nativenorm.Pass;
import io.nativenorm.Tensor;

/** Trains one step on the engines it was told to expect, and says where. */
public final class App {
  private App() {}

  /** {@code App ENGINE...}: fails unless the first runs everything and all are there. */
  public static void main(String[] engines) {
    float[] values = new float[2 * 3 * 64];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 2; // in each channel: mean 1/2, standard deviation 1/2
    }
    try (BatchNorm norm = BatchNorm.of(3);
        Tensor x = Tensor.of(values, 2, 3, 8, 8);
        Pass pass = norm.forwardTraining(x);
        Gradients gradients = pass.backward(x)) {
      float[] y = pass.output().toArray();
      require(Math.abs(y[0] + 1) < 1e-4 && Math.abs(y[1] - 1) < 1e-4, "normalizes to " + y[0] + ", " + y[1]);
      float sum = gradients.bias().toArray()[0];
      require(sum == 64, "adds up to " + sum);
      String explained = norm.explain(x);
      require(explained.contains("backward: " + engines[0]), explained);
    }
    for (String engine : engines) {
      require(NativeNorm.describe().contains("  " + engine + ": "), NativeNorm.describe());
    }
    String path = App.class.getModule().isNamed() ? "module path" : "class path";
    System.out.println("all right on the " + path + ": " + NativeNorm.describe());
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new IllegalStateException(otherwise);
    }
  }
}
