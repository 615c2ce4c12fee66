package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What masks do to running statistics, what calls with them refuse, and their edges. */
class MaskCallsTest {
  private static final int N = 3;
  private static final int C = 4;
  private static final int S = 10;

  private static Tensor input() {
    return Tensor.of(TestData.normal(7, N * C * S, 2, 3), N, C, S);
  }

  private static BatchNorm batchNorm(Consumer<BatchNorm.Builder> options) {
    BatchNorm.Builder builder = BatchNorm.builder(C);
    options.accept(builder);
    return builder.build();
  }

  private static void refuses(Class<? extends Exception> type, String message, Executable call) {
    String found = assertThrows(type, call).getMessage();
    assertTrue(found.contains(message), found);
  }

  private static void refuses(String message, Executable call) {
    refuses(IllegalArgumentException.class, message, call);
  }

  static Backend[] engines() {
    return new Backend[] {Backend.JAVA, TestEngines.best()};
  }

  /** The running statistics of a batch are those of what counts, by its number. */
  @ParameterizedTest
  @MethodSource("engines")
  void runningStatisticsAreOfWhatCounts(Backend backend) {
    long[] lengths = {10, 3, 0};
    try (BatchNorm norm = batchNorm(b -> b.backend(backend).momentum(0.25));
        Tensor x = input()) {
      norm.forwardTraining(x, Mask.lengths(lengths)).close();
      float[] values = x.toArray();
      for (int c = 0; c < C; c++) {
        double sum = 0;
        double squares = 0;
        for (int i = 0; i < N; i++) {
          for (int s = 0; s < lengths[i]; s++) {
            sum += values[(i * C + c) * S + s];
          }
        }
        for (int i = 0; i < N; i++) {
          for (int s = 0; s < lengths[i]; s++) {
            squares += Math.pow(values[(i * C + c) * S + s] - sum / 13, 2);
          }
        }
        assertEquals(0.25 * sum / 13, norm.runningMean().get(c), 1e-6);
        assertEquals(0.75 + 0.25 * squares / 12, norm.runningVar().get(c), 1e-5);
      }
      assertEquals(1, norm.numBatchesTracked());
    }
  }

  /** Those of instances: the average of the samples that have something, each by its own number. */
  @ParameterizedTest
  @EnumSource(RunningVariance.class)
  void runningStatisticsOfInstances(RunningVariance rule) {
    long[] lengths = {10, 1, 0, 3};
    InstanceNorm.Builder builder = InstanceNorm.builder(C);
    builder.trackRunningStats(true).momentum(0.25).runningVariance(rule);
    builder.oneValuePerChannel(OneValue.PASS);
    try (InstanceNorm norm = builder.build();
        Tensor x = Tensor.of(TestData.normal(8, 4 * C * S, 2, 3), 4, C, S)) {
      norm.forwardTraining(x, Mask.lengths(lengths)).close();
      float[] values = x.toArray();
      for (int c = 0; c < C; c++) {
        double means = 0;
        double variances = 0;
        for (int i = 0; i < 4; i++) {
          double sum = 0;
          double squares = 0;
          for (int s = 0; s < lengths[i]; s++) {
            sum += values[(i * C + c) * S + s];
          }
          for (int s = 0; s < lengths[i]; s++) {
            squares += Math.pow(values[(i * C + c) * S + s] - sum / lengths[i], 2);
          }
          means += lengths[i] == 0 ? 0 : sum / lengths[i] / 3;
          double n = rule == RunningVariance.UNBIASED ? lengths[i] - 1 : lengths[i];
          variances += lengths[i] < 2 ? 0 : squares / n / 2;
        }
        assertEquals(0.25 * means, norm.runningMean().get(c), 1e-6);
        assertEquals(0.75 + 0.25 * variances, norm.runningVar().get(c), 1e-5);
      }
      assertEquals(1, norm.numBatchesTracked());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whereNothingCountsTheyStay(boolean instance) {
    RunningBuilder<?> builder = instance ? InstanceNorm.builder(C) : BatchNorm.builder(C);
    builder.trackRunningStats(true);
    try (RunningNorm norm = (RunningNorm) builder.affine(true).build();
        Tensor x = input()) {
      norm.bias().copyFrom(new float[] {1, 2, 3, 4});
      x.set(Float.NaN, 1, 1, 1);
      try (Pass pass = norm.forwardTraining(x, Mask.lengths(0, 0, 0));
          Tensor dy = input();
          Gradients gradients = pass.backward(dy)) {
        for (int e = 0; e < N * C * S; e++) {
          assertEquals(1 + e / S % C, pass.output().toArray()[e]);
          assertEquals(0, gradients.input().toArray()[e]);
        }
        assertArrayEquals(new float[C], gradients.weight().toArray());
        assertTrue(gradients.bias().toArray()[0] != 0);
        assertEquals(0, pass.variance().toArray()[0]);
      }
      assertArrayEquals(new float[C], norm.runningMean().toArray());
      assertArrayEquals(new float[] {1, 1, 1, 1}, norm.runningVar().toArray());
      assertEquals(0, norm.numBatchesTracked());
    }
  }

  @Test
  void oneValueIsRefusedOrPasses() {
    try (BatchNorm norm = batchNorm(b -> {});
        BatchNorm untracked = batchNorm(b -> b.trackRunningStats(false));
        InstanceNorm instances = InstanceNorm.of(C);
        GroupNorm groups = GroupNorm.of(C, C);
        Tensor x = input()) {
      String twoValues = ": expected a mask that counts more than 1 value per channel";
      refuses(
          "BatchNorm(4)" + twoValues + ", but it counts 1 in " + x,
          () -> norm.forwardTraining(x, Mask.lengths(0, 1, 0)));
      refuses(
          "BatchNorm(4)" + twoValues + ", but it counts 1 in " + x,
          () -> untracked.forward(x, Mask.lengths(0, 1, 0), x));
      refuses(
          "InstanceNorm(4)" + twoValues + " of sample 1, but it counts 1 in " + x,
          () -> instances.forwardTraining(x, Mask.lengths(5, 1, 0)));
      assertEquals(0, norm.numBatchesTracked());
      instances.forward(x, Mask.lengths(5, 1, 0), x);
      assertEquals(0, x.get(1, 2, 0));
      groups.forwardTraining(x, Mask.lengths(5, 1, 0)).close();
    }
    try (BatchNorm norm = batchNorm(b -> b.oneValuePerChannel(OneValue.PASS));
        Tensor x = input();
        Pass pass = norm.forwardTraining(x, Mask.lengths(0, 1, 0))) {
      assertEquals(0, pass.output().get(1, 2, 0));
      assertArrayEquals(new float[] {1, 1, 1, 1}, norm.runningVar().toArray());
      assertEquals(1, norm.numBatchesTracked());
    }
  }

  @Test
  void runningStatisticsTakeNoMask() {
    try (BatchNorm norm = batchNorm(b -> {});
        Tensor x = input();
        Tensor plain = Tensor.zeros(N, C, S);
        Tensor masked = Tensor.zeros(N, C, S)) {
      norm.runningMean().copyFrom(new float[] {1, 2, 3, 4});
      norm.forward(x, plain);
      norm.forward(x, Mask.lengths(1, 2, 3), masked);
      assertArrayEquals(plain.toArray(), masked.toArray());
      norm.freeze();
      try (Pass pass = norm.forwardTraining(x, Mask.lengths(1, 0, 0))) {
        assertArrayEquals(plain.toArray(), pass.output().toArray());
      }
      refuses("a length for each of 3", () -> norm.forward(x, Mask.lengths(1), masked));
    }
  }

  @Test
  void anEmptyBatchHasNothingToCount() {
    try (BatchNorm norm = batchNorm(b -> {});
        GroupNorm groups = GroupNorm.of(2, C);
        Tensor x = Tensor.zeros(0, C, S);
        Tensor noPositions = Tensor.zeros(2, C, 0);
        Tensor y = Tensor.zeros(2, C, 0);
        Tensor u8 = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, 0, S)) {
      norm.forwardTraining(x, Mask.lengths()).close();
      groups.forwardTraining(x, Mask.of(u8)).close();
      groups.forwardTraining(noPositions, Mask.lengths(0, 0)).close();
      groups.forward(noPositions, Mask.lengths(0, 0), y);
      assertEquals(0, norm.numBatchesTracked());
    }
  }

  @Test
  void theMaskIsReadOnceAndThenKept() {
    try (GroupNorm norm = GroupNorm.of(2, C);
        Tensor x = input();
        Tensor dy = input();
        Tensor u8 = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, N, S)) {
      u8.set(1, 0, 3);
      u8.set(1, 0, 4);
      Mask mask = Mask.of(u8);
      try (Pass pass = norm.forwardTraining(x, mask);
          Gradients before = pass.backward(dy)) {
        u8.set(1, 1, 1);
        u8.set(0, 0, 3);
        try (Gradients after = pass.backward(dy)) {
          assertArrayEquals(before.input().toArray(), after.input().toArray());
        }
      }
    }
  }

  /** Frozen and thawed by another thread meanwhile, a pass is of one kind from y to dx. */
  @Test
  void thawedBesideACall() throws Exception {
    AtomicBoolean ended = new AtomicBoolean();
    try (BatchNorm norm = batchNorm(b -> b.momentum(0.0));
        Tensor x = input();
        Pass frozen = norm.forwardFrozen(x);
        Pass trained = norm.forwardTraining(x, Mask.lengths(10, 7, 2));
        Gradients ofFrozen = frozen.backward(x);
        Gradients ofTrained = trained.backward(x)) {
      Thread other =
          new Thread(
              () -> {
                while (!ended.get()) {
                  norm.freeze();
                  norm.thaw();
                }
              });
      other.start();
      try {
        int[] found = new int[2];
        for (int i = 0; i < 100_000 && (i < 1000 || found[0] == 0 || found[1] == 0); i++) {
          try (Pass pass = norm.forwardTraining(x, Mask.lengths(10, 7, 2));
              Gradients gradients = pass.backward(x)) {
            float[] y = pass.output().toArray();
            boolean isFrozen = Arrays.equals(frozen.output().toArray(), y);
            found[isFrozen ? 0 : 1]++;
            assertArrayEquals((isFrozen ? frozen : trained).output().toArray(), y);
            assertArrayEquals(
                (isFrozen ? ofFrozen : ofTrained).input().toArray(), gradients.input().toArray());
          }
        }
        assertTrue(found[0] > 0 && found[1] > 0, Arrays.toString(found));
      } finally {
        ended.set(true);
        other.join();
      }
    }
  }

  @Test
  void whatDoesNotFitIsRefusedByName() {
    Tensor closed = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, N, S);
    Mask ofClosed = Mask.of(closed);
    closed.close();
    try (BatchNorm norm = batchNorm(b -> b.trackRunningStats(false));
        BatchNorm flat = BatchNorm.of(C);
        Tensor x = input();
        Tensor y = Tensor.zeros(N, C, S);
        Tensor rows = Tensor.zeros(N, C);
        Tensor floats = Tensor.zeros(N, S);
        Tensor image = Tensor.allocate(DataType.U8, Layout.CHANNELS_LAST, N, 2, 5);
        Tensor wrong = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, N, S + 1);
        Pass pass = norm.forwardTraining(x, Mask.lengths(1, 2, 3))) {
      refuses("must not be negative, but got [1, -1]", () -> Mask.lengths(1, -1));
      refuses("a mask is a U8 tensor", () -> Mask.of(floats));
      refuses("a mask is a U8 tensor", () -> Mask.of(image));
      for (Mask mask : new Mask[] {Mask.of(wrong), Mask.lengths(1, 2), Mask.lengths(1, 2, 11)}) {
        String message =
            mask.tensor() != null
                ? "expected a mask of shape [3, 10]"
                : mask.perSample().length == 2
                    ? "expected a length for each of 3"
                    : "the length of sample 2 is 11";
        refuses("BatchNorm(4): " + message, () -> norm.forwardTraining(x, mask));
        refuses("BatchNorm(4): " + message, () -> norm.forward(x, mask, y));
      }
      refuses("there is none", () -> flat.forwardTraining(rows, Mask.lengths(1, 1, 1)));
      refuses(IllegalStateException.class, "closed", () -> norm.forwardTraining(x, ofClosed));
      refuses(IllegalStateException.class, "closed", () -> norm.forward(x, ofClosed, y));
      try (StatisticsExchange alone = StatisticsExchange.threads(1, Duration.ofSeconds(1)).get(0);
          BatchNorm shared = batchNorm(b -> b.exchange(alone))) {
        refuses("exchanges and masks", () -> shared.forwardTraining(x, Mask.lengths(1, 2, 3)));
      }
      try (BatchNorm ghost = batchNorm(b -> b.ghost(2))) {
        refuses("ghost batches and masks", () -> ghost.forwardTraining(x, Mask.lengths(1, 2, 3)));
        ghost.forward(x, Mask.lengths(1, 2, 3), y);
      }
      refuses(IllegalStateException.class, "of a mask", () -> pass.forward(x, y));
      ByteBuffer shared = ByteBuffer.allocateDirect(4 * N * C * S).order(ByteOrder.nativeOrder());
      try (Tensor u8 = Tensor.wrap(shared, DataType.U8, Layout.CHANNELS_FIRST, N, S);
          Tensor over = Tensor.wrap(shared, DataType.F32, Layout.CHANNELS_FIRST, N, C, S)) {
        refuses("apart from the mask", () -> norm.forward(x, Mask.of(u8), over));
      }
    }
    try (BatchNorm named = batchNorm(b -> b.backend(Backend.ONEDNN));
        Tensor x = input()) {
      if (TestEngines.all().contains(Backend.ONEDNN)) {
        refuses(
            NativeNormException.class,
            "has no masks",
            () -> named.forwardTraining(x, Mask.lengths(1, 2, 3)));
      }
    }
  }

  /** Lengths count the first rows of images, with all of their columns; as a tensor of rank 4. */
  @ParameterizedTest
  @MethodSource("engines")
  void lengthsOfImagesAreRows(Backend backend) {
    int height = 5;
    int width = 3;
    long[] rows = {2, 5, 0};
    float[] values = TestData.normal(9, N * C * height * width, 2, 3);
    for (Layout layout : Layout.values()) {
      try (BatchNorm norm = batchNorm(b -> b.backend(backend).trackRunningStats(false));
          Tensor plain = Tensor.of(values, N, C, height, width);
          Tensor x = plain.in(layout);
          Tensor u8 = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, N, height, width)) {
        for (int e = 0; e < N * height * width; e++) {
          int sample = e / (height * width);
          int row = e / width % height;
          u8.set(row < rows[sample] ? 1 : 0, sample, row, e % width);
        }
        try (Pass pass = norm.forwardTraining(x, Mask.lengths(rows));
            Pass same = norm.forwardTraining(x, Mask.of(u8))) {
          for (int c = 0; c < C; c++) {
            double sum = 0;
            for (int i = 0; i < N; i++) {
              for (int k = 0; k < rows[i] * width; k++) {
                sum += values[(i * C + c) * height * width + k];
              }
            }
            assertEquals(sum / (7 * width), pass.mean().get(c), 1e-6);
          }
          assertArrayEquals(pass.mean().toArray(), same.mean().toArray());
          assertArrayEquals(pass.variance().toArray(), same.variance().toArray());
          assertArrayEquals(pass.output().toArray(), same.output().toArray());
        }
      }
    }
  }

  /** A tensor of rank 4 tells rows and columns apart. */
  @ParameterizedTest
  @MethodSource("engines")
  void columnsOfImagesCountAlone(Backend backend) {
    for (Layout layout : Layout.values()) {
      try (BatchNorm norm = batchNorm(b -> b.backend(backend).trackRunningStats(false));
          Tensor plain = Tensor.of(TestData.normal(9, N * C * 4 * 3, 2, 3), N, C, 4, 3);
          Tensor x = plain.in(layout);
          Tensor u8 = Tensor.allocate(DataType.U8, Layout.CHANNELS_FIRST, N, 4, 3)) {
        for (int e = 0; e < N * 4; e++) {
          u8.set(255, e / 4, e % 4, 1);
        }
        try (Pass pass = norm.forwardTraining(x, Mask.of(u8))) {
          for (int c = 0; c < C; c++) {
            double sum = 0;
            for (int e = 0; e < N * 4; e++) {
              sum += plain.get(e / 4, c, e % 4, 1);
            }
            assertEquals(sum / (N * 4), pass.mean().get(c), 1e-6);
          }
        }
      }
    }
  }

  /** Of a variance of 0 all is the bias, the padding too. */
  @ParameterizedTest
  @MethodSource("engines")
  void constantsWithoutEps(Backend backend) {
    for (Layout layout : Layout.values()) {
      try (GroupNorm norm = GroupNorm.builder(2, C).eps(0).backend(backend).build();
          Tensor plain = input()) {
        norm.bias().copyFrom(new float[] {7, 7, 7, 7});
        for (int e = 0; e < N * C * S; e++) {
          if (e % S < 4) {
            plain.set(3, e / (C * S), e / S % C, e % S);
          }
        }
        try (Tensor x = plain.in(layout);
            Pass pass = norm.forwardTraining(x, Mask.lengths(4, 4, 4));
            Tensor y = Tensor.allocate(DataType.F32, layout, N, C, S)) {
          norm.forward(x, Mask.lengths(4, 4, 4), y);
          float[] expected = new float[N * 2];
          assertArrayEquals(expected, pass.variance().toArray());
          Arrays.fill(expected, 3);
          assertArrayEquals(expected, pass.mean().toArray());
          assertArrayEquals(pass.output().toArray(), y.toArray());
          for (float value : MaskCase.logical(y)) {
            assertEquals(7, value);
          }
        }
      }
    }
  }

  /** Gradients are added to what is there, and take the place of dy, as without a mask. */
  @ParameterizedTest
  @MethodSource("engines")
  void gradientsAreAddedUpAndTakeDysPlace(Backend backend) {
    for (Layout layout : Layout.values()) {
      try (BatchNorm norm = batchNorm(b -> b.backend(backend));
          Tensor plain = input();
          Tensor x = plain.in(layout);
          Pass pass = norm.forwardTraining(x, Mask.lengths(10, 3, 0));
          Tensor grad = Tensor.of(TestData.normal(5, N * C * S, 0, 1), N, C, S);
          Tensor laid = grad.in(layout);
          Gradients gradients = pass.backward(laid);
          Tensor dWeight = Tensor.of(new float[] {1, 2, 3, 4}, C);
          Tensor dBias = Tensor.of(new float[] {5, 6, 7, 8}, C)) {
        pass.accumulate(laid, laid, dWeight, dBias);
        assertArrayEquals(gradients.input().toArray(), laid.toArray());
        for (int c = 0; c < C; c++) {
          assertEquals(1 + c + gradients.weight().get(c), dWeight.get(c), 1e-6);
          assertEquals(5 + c + gradients.bias().get(c), dBias.get(c), 1e-6);
        }
      }
    }
  }

  /** Where dy is 0 in the padding, so is dx, whatever its memory had. */
  @ParameterizedTest
  @MethodSource("engines")
  void inputGradientsOfThePaddingAreWritten(Backend backend) {
    for (Layout layout : Layout.values()) {
      try (BatchNorm norm = batchNorm(b -> b.backend(backend));
          Tensor plain = input();
          Tensor x = plain.in(layout);
          Pass pass = norm.forwardTraining(x, Mask.lengths(10, 3, 0));
          Tensor dx = Tensor.allocate(DataType.F32, layout, N, C, S)) {
        for (int e = 0; e < N * C * S; e++) {
          dx.set(Float.NaN, e / (C * S), e / S % C, e % S);
          if (e / (C * S) == 2 || (e / (C * S) == 1 && e % S >= 3)) {
            plain.set(0, e / (C * S), e / S % C, e % S);
          }
        }
        try (Tensor dy = plain.in(layout)) {
          pass.backward(dy, dx, null, null);
        }
        float[] found = MaskCase.logical(dx);
        for (int e = 0; e < found.length; e++) {
          boolean counts = e / (C * S) == 0 || (e / (C * S) == 1 && e % S < 3);
          assertTrue(counts ? Float.isFinite(found[e]) : found[e] == 0, "element " + e);
        }
      }
    }
  }
}
