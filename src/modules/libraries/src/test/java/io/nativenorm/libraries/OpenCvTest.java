package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.DataType;
import io.nativenorm.InstanceNorm;
import io.nativenorm.LayerNorm;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.opencv.global.opencv_core;
import org.bytedeco.opencv.opencv_core.Mat;
import org.bytedeco.opencv.opencv_core.Rect;
import org.bytedeco.opencv.opencv_core.Scalar;
import org.junit.jupiter.api.Test;

/** Tensors of ours on images of OpenCV's. */
class OpenCvTest extends LibraryTest {
  private final Images images = Images.of(1, 3, 48, 64);
  private final float[] expected = images.in(Layout.CHANNELS_LAST, images.instanceNormalized());

  /** Pixels with their channels side by side, as OpenCV has them. */
  private Mat image() {
    Mat image = new Mat(48, 64, opencv_core.CV_32FC3);
    new FloatPointer(image.data()).put(images.in(Layout.CHANNELS_LAST, images.x()));
    return image;
  }

  private static float[] values(Mat image) {
    float[] values = new float[(int) image.total() * image.channels()];
    new FloatPointer(image.data()).get(values);
    return values;
  }

  @Test
  void anImageIsNormalizedWhereItLies() {
    try (Mat image = image();
        InstanceNorm norm = images.instanceNorm();
        Tensor x = OpenCvTensors.wrap(image)) {
      assertEquals(Layout.CHANNELS_LAST, x.layout());
      norm.forward(x, x);
      Answers.requireRight("what OpenCV has", values(image), expected);
    }
  }

  @Test
  void aRegionOfWholeRowsIsDense() {
    try (Mat image = image();
        Mat region = image.rowRange(8, 24);
        InstanceNorm norm = images.instanceNorm();
        Tensor x = OpenCvTensors.wrap(region)) {
      float[] before = values(image);
      norm.forward(x, x);
      float[] after = values(image);
      for (int i = 0; i < after.length; i++) {
        boolean within = i / (64 * 3) >= 8 && i / (64 * 3) < 24;
        assertEquals(within, before[i] != after[i], "element " + i);
      }
    }
  }

  @Test
  void aRegionWithGapsIsNotTakenButCopied() {
    try (Mat image = image();
        Mat region = image.apply(new Rect(8, 4, 16, 12));
        InstanceNorm norm = images.instanceNorm();
        Tensor x = OpenCvTensors.wrap(region);
        Tensor copy = x.to(Layout.CHANNELS_LAST)) {
      assertArrayEquals(new long[] {1, 3, 12, 16}, x.shape());
      float[] before = values(image);
      assertThrows(IllegalArgumentException.class, () -> norm.forward(x, x));
      norm.forward(copy, copy);
      x.copyFrom(copy.buffer());
      float[] after = values(image);
      for (int i = 0; i < after.length; i++) {
        int row = i / (64 * 3) - 4;
        int column = i / 3 % 64 - 8;
        boolean within = row >= 0 && row < 12 && column >= 0 && column < 16;
        float expected = within ? copy.toArray()[(row * 16 + column) * 3 + i % 3] : before[i];
        assertEquals(expected, after[i], "element " + i);
      }
    }
  }

  @Test
  void columnsOfAMatrixAreNormalizedWhereTheyLie() {
    Rows rows = Rows.of(16, 64);
    try (Mat matrix = new Mat(20, 100, opencv_core.CV_32FC1, new Scalar(7.0));
        Mat region = matrix.apply(new Rect(30, 2, 64, 16));
        Mat given = new Mat(16, 64, opencv_core.CV_32FC1);
        LayerNorm norm = rows.layerNorm();
        Tensor x = OpenCvTensors.wrap(region)) {
      new FloatPointer(given.data()).put(rows.x());
      given.copyTo(region);
      norm.forward(x, x);
      region.copyTo(given);
      rows.requireRight("what OpenCV has", values(given));
      region.put(new Scalar(7.0));
      for (float value : values(matrix)) {
        assertEquals(7, value);
      }
    }
  }

  /** A Mat is a pointer of JavaCPP's, to an object of a hundred bytes. */
  @Test
  void theObjectIsNotTakenForItsPixels() {
    try (Mat image = image()) {
      assertThrows(
          IllegalArgumentException.class,
          () -> Tensor.wrap(image, DataType.F32, Layout.CHANNELS_LAST, 1, 3, 48, 64));
    }
  }

  @Test
  void bytesAreRefused() {
    try (Mat image = new Mat(4, 4, opencv_core.CV_8UC3)) {
      assertThrows(IllegalArgumentException.class, () -> OpenCvTensors.wrap(image));
    }
  }

  @Test
  void aClosedImageIsNotReadAnyMore() {
    Mat image = image();
    try (InstanceNorm norm = images.instanceNorm();
        Tensor x = OpenCvTensors.wrap(image)) {
      image.close();
      assertThrows(IllegalStateException.class, () -> norm.forward(x, x));
    }
  }
}
