package io.nativenorm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Consumer;
import jdk.jfr.Recording;

/** A program that records what it calls: see {@link RecordingsTest}. */
final class RecordedProgram {
  static final String PREFIX = "io.nativenorm.";

  /** More than plans are kept. */
  static final int PLANS = 300;

  static final int SAMPLED_MILLISECONDS = 300;

  /** Of a tensor that is larger than all that may be kept, which is 1 MB. */
  static final int LARGE = 1 << 20;

  private RecordedProgram() {}

  /** Into files of the folder that the property {@code folder} names. */
  public static void main(String[] none) throws Exception {
    calls();
    record(
        "calls",
        recording -> recording.enable(PREFIX + "SlowCall").withThreshold(Duration.ZERO),
        RecordedProgram::calls);
    record("samples", recording -> {}, RecordedProgram::manyCalls);
    record("plans", recording -> {}, RecordedProgram::plans);
    record("memory", recording -> {}, RecordedProgram::memory);
    float[] x = new float[640];
    try (LayerNorm layer = LayerNorm.of(64)) {
      AllocationTest.assertAllocatesNothing("after a recording", () -> layer.forward(x, x));
    }
  }

  private static void record(String name, Consumer<Recording> settings, Runnable program)
      throws Exception {
    try (Recording recording = new Recording()) {
      settings.accept(recording);
      recording.start();
      program.run();
      recording.stop();
      recording.dump(Path.of(System.getProperty("folder"), name + ".jfr"));
    }
  }

  /** Each kind of call, once. */
  private static void calls() {
    float[] x = TestData.normal(1, 6 * 100, 0, 1);
    float[] y = new float[x.length];
    float[] dy = new float[x.length];
    float[] weight = TestData.normal(2, 100, 1, 0.1);
    FloatBuffer direct =
        ByteBuffer.allocateDirect(400).order(ByteOrder.nativeOrder()).asFloatBuffer();
    try (LayerNorm rows = LayerNorm.builder(100).threads(2).build();
        LayerNorm java = LayerNorm.builder(100).backend(Backend.JAVA).threads(1).build();
        BatchNorm batch = BatchNorm.builder(3).threads(2).build();
        LayerNorm planes = LayerNorm.builder(3, 10, 10).threads(2).build();
        Tensor tensor = Tensor.of(x, 6, 100);
        Tensor halves = tensor.to(DataType.BF16);
        Tensor image = Tensor.of(x, 2, 3, 10, 10);
        Tensor last = image.to(Layout.CHANNELS_LAST);
        Tensor gradient = Tensor.of(x, 2, 3, 10, 10);
        Tensor lastGradient = image.to(Layout.CHANNELS_LAST)) {
      rows.forward(tensor, tensor);
      rows.forward(halves, halves);
      planes.forward(last, last);
      rows.forward(x, y);
      java.forward(x, y);
      rows.forward(x, 0, y, 0, 5);
      rows.forward(x, 0, 300, y, 0, 300, 1, 2);
      java.forward(x, 0, y, 0, 4);
      RmsNorm.normalize(x, 0, y, 0, 3, 100, weight, 0, 1e-5);
      RmsNorm.normalize(x, 0, y, 0, 2, 100, direct, 0, 1e-5);
      try (Pass pass = batch.forwardTraining(image)) {
        pass.backward(gradient, gradient, null, null);
      }
      try (Pass pass = java.forwardTraining(x, y, 6, 100)) {
        pass.backward(dy, dy, null, null);
      }
      try (Pass pass = planes.forwardTraining(last)) {
        pass.backward(lastGradient, lastGradient, null, null);
      }
      batch.forwardFrozen(image).close();
    }
  }

  private static void manyCalls() {
    float[] x = new float[64];
    try (LayerNorm layer = LayerNorm.builder(64).threads(1).build()) {
      long end = System.nanoTime() + SAMPLED_MILLISECONDS * 1_000_000L;
      while (System.nanoTime() < end) {
        layer.forward(x, x);
      }
    }
  }

  private static void plans() {
    float[] x = new float[2 * PLANS];
    try (RmsNorm layer = RmsNorm.builder(2).threads(1).backend(Backend.JAVA).build()) {
      for (int round = 0; round < 2; round++) {
        for (int rows = PLANS; rows > 0; rows--) {
          layer.forward(x, 0, x, 0, rows);
        }
        layer.forward(x, 0, x, 0, 1);
      }
    }
  }

  private static void memory() {
    Tensor.zeros(LARGE).close();
    Tensor.zeros(777).close();
    Tensor.zeros(777).close();
    for (int floats = 150_000; floats < 250_000; floats += 50_000) {
      Tensor.zeros(floats).close();
    }
  }
}
