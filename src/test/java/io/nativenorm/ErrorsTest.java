package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Wrong input is refused in words that say what is wrong, before anything is computed. */
class ErrorsTest {
  private static void refused(String message, Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertEquals(message, e.getMessage());
  }

  private static void refusedInput(NormLayer layer, String message, long... shape) {
    try (layer;
        Tensor x = Tensor.zeros(shape)) {
      refused(layer + ": " + message, () -> layer.forward(x));
      refused(layer + ": " + message, () -> layer.forwardTraining(x));
      refused(layer + ": " + message, () -> layer.explain(x));
    }
  }

  @Test
  void inputsOfTheWrongShape() {
    refusedInput(BatchNorm.of(3), "expected 2D or higher input (got 1D input)", 3);
    refusedInput(
        BatchNorm.of(3),
        "expected input with 3 channels in dimension 1, but got [2, 4, 5]: running_mean should"
            + " contain 4 elements not 3",
        2,
        4,
        5);
    refusedInput(
        LayerNorm.of(5),
        "Given normalized_shape=[5], expected input with shape [*, 5], but got input of size[2, 4]",
        2,
        4);
    refusedInput(
        RmsNorm.of(2, 3),
        "Given normalized_shape=[2, 3], expected input with shape [*, 2, 3], but got input of"
            + " size[3]",
        3);
    refusedInput(
        GroupNorm.of(2, 6), "Expected at least 2 dimensions for input tensor but received 1", 6);
    refusedInput(
        GroupNorm.of(2, 6),
        "expected input with 6 channels in dimension 1, but got [2, 4, 4]",
        2,
        4,
        4);
    refusedInput(
        InstanceNorm.of(2),
        "expected input's size at dim=1 to match num_features (2), but got: 3 in [1, 3, 4]",
        1,
        3,
        4);
    refusedInput(InstanceNorm.of(2), "expected 2D or higher input (got 1D input)", 2);
  }

  @Test
  void statisticsOfOneValue() {
    String batch =
        "BatchNorm(3): Expected more than 1 value per channel when training, got input" + " size ";
    String instance =
        "InstanceNorm(3): Expected more than 1 spatial element when training, got input size ";
    try (BatchNorm tracking = BatchNorm.of(3);
        BatchNorm plain = BatchNorm.builder(3).trackRunningStats(false).build();
        InstanceNorm instances = InstanceNorm.of(3);
        Tensor one = Tensor.zeros(1, 3);
        Tensor two = Tensor.zeros(2, 3, 1)) {
      refused(batch + "[1, 3]", () -> tracking.forwardTraining(one));
      refused(batch + "[1, 3]", () -> plain.forward(one));
      refused(instance + "[2, 3, 1]", () -> instances.forwardTraining(two));
      assertEquals(0, tracking.numBatchesTracked());
      tracking.forward(one).close(); // the running statistics are enough
    }
  }

  @Test
  void noEpsWhereTheVarianceMayBeZero() {
    try (BatchNorm batch = BatchNorm.builder(2).eps(0).build();
        BatchNorm plain = BatchNorm.builder(2).eps(0).trackRunningStats(false).build();
        Tensor x = Tensor.zeros(3, 2, 4)) {
      String says = ": batch_norm eps must be positive during training, but got 0";
      refused("BatchNorm(2)" + says, () -> batch.forwardTraining(x));
      refused("BatchNorm(2)" + says, () -> plain.forward(x));
      batch.forward(x).close(); // running statistics need none
    }
  }

  @Test
  void optionsThatMeanNothing() {
    refused("BatchNorm(0): channels must be positive, but got 0", () -> BatchNorm.of(0));
    refused("InstanceNorm(-1): channels must be positive, but got -1", () -> InstanceNorm.of(-1));
    refused(
        "GroupNorm(4, 6): num_channels (6) must be divisible by num_groups (4)",
        () -> GroupNorm.of(4, 6));
    refused("GroupNorm(0, 6): groups must be positive, but got 0", () -> GroupNorm.of(0, 6));
    refused(
        "LayerNorm([]): Expected normalized_shape to be at least 1-dimensional, i.e., containing at"
            + " least one element, but got normalized_shape = []",
        () -> LayerNorm.of());
    refused(
        "LayerNorm([4, 0]): normalized_shape must be positive, but got 0",
        () -> LayerNorm.of(4, 0));
    refused(
        "RmsNorm([4]): eps must be non-negative and finite, but got -1.0",
        () -> RmsNorm.builder(4).eps(-1));
    refused(
        "BatchNorm(4): eps must be non-negative and finite, but got NaN",
        () -> BatchNorm.builder(4).eps(Double.NaN));
    refused(
        "BatchNorm(4): momentum must be finite, but got Infinity",
        () -> BatchNorm.builder(4).momentum(Double.POSITIVE_INFINITY));
    refused(
        "BatchNorm(4): decay must be finite, but got NaN",
        () -> BatchNorm.builder(4).decay(Double.NaN));
    refused("threads must be 1 or more, but got 0", () -> BatchNorm.builder(4).threads(0));
    refused("threads must be 1 or more, but got -1", () -> NativeNorm.threads(-1));
    refused("RmsNorm([4]): there is no bias", () -> RmsNorm.builder(4).bias(true));
  }

  @Test
  void outputsThatDoNotFit() {
    float[] before = {1, 2, 3, 4, 5, 6, 7, 8};
    try (LayerNorm layer = LayerNorm.of(4);
        Tensor x = Tensor.of(before, 2, 4);
        Tensor flat = Tensor.of(before, 8);
        Tensor last = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, 4);
        Tensor readOnly = Tensor.wrap(direct(8).asReadOnlyBuffer(), 2, 4)) {
      refused(
          "LayerNorm([4]): expected an output like the input, F32 CHANNELS_FIRST [2, 4], but got"
              + " F32 CHANNELS_FIRST [8]",
          () -> layer.forward(x, flat));
      refused(
          "LayerNorm([4]): expected an output like the input, F32 CHANNELS_FIRST [2, 4], but got"
              + " F32 CHANNELS_LAST [2, 4]",
          () -> layer.forward(x, last));
      refused(
          "LayerNorm([4]): the output is on a read-only buffer", () -> layer.forward(x, readOnly));
      assertArrayEquals(before, flat.toArray());
      try (FloatPointer memory = new FloatPointer(12);
          Tensor low = Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, 2, 4);
          Tensor high =
              Tensor.wrap(memory.getPointer(4), DataType.F32, Layout.CHANNELS_FIRST, 2, 4)) {
        refused(
            "LayerNorm([4]): the output must be the input or apart from it, but overlaps it in"
                + " part",
            () -> layer.forward(low, high));
      }
    }
  }

  @Test
  void heapArraysThatDoNotFit() {
    try (LayerNorm layer = LayerNorm.of(4);
        BatchNorm batch = BatchNorm.of(4)) {
      refused(
          "LayerNorm([4]): expected a multiple of 4 elements, but got an array of 6",
          () -> layer.forward(new float[6]));
      refused(
          "LayerNorm([4]): expected arrays of 8 elements for shape [2, 4], but got x of 12 and y of"
              + " 12",
          () -> layer.forward(new float[12], 2, 4));
      refused(
          "LayerNorm([4]): expected arrays of 8 elements for shape [2, 4], but got x of 8 and y of"
              + " 7",
          () -> layer.forward(new float[8], new float[7], 2, 4));
      refused(
          "BatchNorm(4): the shape of a float[8] cannot be told; pass it after the array",
          () -> batch.forward(new float[8]));
    }
  }

  @Test
  void gradientsThatDoNotFit() {
    try (LayerNorm layer = LayerNorm.of(4);
        Tensor x = Tensor.zeros(2, 4);
        Tensor dy = Tensor.zeros(4, 2);
        Pass pass = layer.forwardTraining(x)) {
      refused(
          "LayerNorm([4]): expected a gradient like the output, F32 CHANNELS_FIRST [2, 4], but got"
              + " F32 CHANNELS_FIRST [4, 2]",
          () -> pass.backward(dy));
    }
  }

  @Test
  void tensorsThatCannotBe() {
    refused("a shape's extents must not be negative, but got [2, -1]", () -> Tensor.zeros(2, -1));
    refused(
        "shape [4611686018427387904, 4] has too many elements", () -> Tensor.zeros(1L << 62, 4));
    refused(
        "expected 6 values for the tensor's elements, but got 5",
        () -> Tensor.of(new float[5], 2, 3));
    refused(
        "wrap expects a direct FloatBuffer, but got one on the Java heap; Tensor.of copies",
        () -> Tensor.wrap(FloatBuffer.allocate(4), 4));
    refused(
        "wrap expects a buffer in native byte order, but got BIG_ENDIAN; set"
            + " ByteBuffer.order(ByteOrder.nativeOrder()) before asFloatBuffer()",
        () -> Tensor.wrap(ByteBuffer.allocateDirect(16).asFloatBuffer(), 4));
    refused(
        "the shape has 5 elements, but the memory has room for 4", () -> Tensor.wrap(direct(4), 5));
    try (FloatPointer four = new FloatPointer(4)) {
      refused(
          "the shape has 5 elements, but the memory has room for 4",
          () -> Tensor.wrap(four, DataType.F32, Layout.CHANNELS_FIRST, 5));
    }
    refused(
        "wrap expects memory, but got a null pointer",
        () -> Tensor.wrap(new Pointer(), DataType.F32, Layout.CHANNELS_FIRST, 5));
    try (Tensor tensor = Tensor.zeros(2, 3)) {
      refused("shape [4] is invalid for input of size 6", () -> tensor.reshape(4));
      refused(
          "expected 6 places for the tensor's elements, but got 5",
          () -> tensor.copyTo(new float[5]));
      tensor.set(-1, 0, 0);
      refused(
          "a U8 tensor takes whole numbers from 0 to 255, but got -1.0",
          () -> tensor.to(DataType.U8));
    }
  }

  @Test
  void aStateThatDoesNotFitChangesNothing() {
    Tensor two = Tensor.of(new float[] {5, 6}, 2);
    try (BatchNorm layer = BatchNorm.of(2);
        Tensor three = Tensor.zeros(3)) {
      refused(
          "BatchNorm(2): error in loading state_dict: Missing key in state_dict: \"bias\"; Missing"
              + " key in state_dict: \"running_var\"; size mismatch for running_mean: copying a"
              + " param with shape [3] from the state, the shape in current model is [2]; Unexpected"
              + " key in state_dict: \"scale\"",
          () ->
              layer.load(
                  new TreeMap<>(Map.of("weight", two, "running_mean", three, "scale", two))));
      assertArrayEquals(new float[] {1, 1}, layer.weight().toArray());
      two.close();
      assertThrows(
          IllegalStateException.class,
          () ->
              layer.load(
                  Map.of(
                      "weight",
                      layer.weight(),
                      "bias",
                      two,
                      "running_mean",
                      layer.runningMean(),
                      "running_var",
                      layer.runningVar())));
      assertArrayEquals(new float[] {1, 1}, layer.weight().toArray());
    }
  }

  @Test
  void aCountOfBatchesIsAWholeNumber() {
    for (float wrong : new float[] {-1, 0.5f, Float.NaN, Float.POSITIVE_INFINITY}) {
      try (BatchNorm layer = BatchNorm.of(1);
          Tensor count = Tensor.of(new float[] {wrong})) {
        Map<String, Tensor> state = new TreeMap<>(layer.state());
        state.put("num_batches_tracked", count);
        refused(
            "BatchNorm(1): error in loading state_dict: num_batches_tracked must be a whole number,"
                + " 0 or more, but got "
                + wrong,
            () -> layer.load(state));
      }
    }
  }

  @Test
  void aRunningVarianceLeavesSomethingUnderTheRoot() {
    float[] before = {1, 1};
    for (float wrong : new float[] {-1, -1.1e-5f, Float.NaN, Float.NEGATIVE_INFINITY}) {
      try (BatchNorm batch = BatchNorm.of(2);
          InstanceNorm instance = InstanceNorm.builder(2).trackRunningStats(true).build();
          Tensor variance = Tensor.of(new float[] {1, wrong}, 2)) {
        for (NormLayer layer : List.of(batch, instance)) {
          Map<String, Tensor> state = new TreeMap<>(layer.state());
          state.put("running_var", variance);
          refused(
              layer
                  + ": error in loading state_dict: running_var must be above -eps, -1.0E-5, but got "
                  + wrong
                  + " for channel 1",
              () -> layer.load(state));
          assertArrayEquals(before, layer.state().get("running_var").toArray());
        }
      }
    }
    for (float right : new float[] {-9.9e-6f, -0f, 0, Float.MIN_VALUE, Float.POSITIVE_INFINITY}) {
      try (BatchNorm layer = BatchNorm.of(1);
          Tensor variance = Tensor.of(new float[] {right}, 1)) {
        Map<String, Tensor> state = new TreeMap<>(layer.state());
        state.put("running_var", variance);
        layer.load(state);
        assertArrayEquals(new float[] {right}, layer.runningVar().toArray());
        if (right > 1) {
          assertArrayEquals(new float[] {0}, layer.forward(new float[] {3}, 1, 1));
        }
      }
    }
    try (BatchNorm layer = BatchNorm.builder(1).eps(0).build();
        Tensor variance = Tensor.of(new float[] {-Float.MIN_VALUE}, 1)) {
      layer.runningVar().copyFrom(new float[] {0});
      layer.load(layer.state()); // 0 is a variance, also without eps
      Map<String, Tensor> state = new TreeMap<>(layer.state());
      state.put("running_var", variance);
      assertThrows(IllegalArgumentException.class, () -> layer.load(state));
    }
  }

  @Test
  void statesOfOtherTypes() {
    try (BatchNorm layer = BatchNorm.of(1);
        LongPointer minus = new LongPointer(new long[] {-5});
        Tensor count = Tensor.wrap(minus, DataType.I64, Layout.CHANNELS_FIRST);
        Tensor weight = Tensor.allocate(DataType.I64, Layout.CHANNELS_FIRST, 1)) {
      Map<String, Tensor> state = new TreeMap<>(layer.state());
      state.put("num_batches_tracked", count);
      state.put("weight", weight);
      refused(
          "BatchNorm(1): error in loading state_dict: num_batches_tracked must be a whole number, 0"
              + " or more, but got -5; weight must be one of [F32, BF16, F16], but got I64",
          () -> layer.load(state));
    }
  }

  private static FloatBuffer direct(int floats) {
    return ByteBuffer.allocateDirect(floats * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }
}
