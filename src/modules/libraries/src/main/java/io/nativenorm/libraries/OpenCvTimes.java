package io.nativenorm.libraries;

import io.nativenorm.InstanceNorm;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.opencv.global.opencv_core;
import org.bytedeco.opencv.opencv_core.Mat;

/**
 * InstanceNorm of an image against the three calls that OpenCV does it with: meanStdDev, subtract,
 * divide.
 */
final class OpenCvTimes {
  private OpenCvTimes() {}

  public static void main(String[] arguments) throws Exception {
    race(224, 224);
    race(480, 640);
    race(1080, 1920);
  }

  private static void race(int height, int width) throws Exception {
    Images images = Images.of(1, 3, height, width);
    float[] expected = images.in(Layout.CHANNELS_LAST, images.instanceNormalized());
    try (Mat image = new Mat(height, width, opencv_core.CV_32FC3);
        Mat result = new Mat(height, width, opencv_core.CV_32FC3);
        Mat mean = new Mat();
        Mat deviation = new Mat();
        InstanceNorm norm = images.instanceNorm();
        Tensor x = OpenCvTensors.wrap(image);
        Tensor y = OpenCvTensors.wrap(result)) {
      new FloatPointer(image.data()).put(images.in(Layout.CHANNELS_LAST, images.x()));
      norm.forward(x, y);
      Answers.requireRight("NativeNorm", y.toArray(), expected);
      Turns.Body theirs =
          () -> {
            opencv_core.meanStdDev(image, mean, deviation);
            // As rows: columns of three values are not taken for one value a channel.
            try (Mat means = mean.reshape(1, 1);
                Mat deviations = deviation.reshape(1, 1)) {
              opencv_core.subtract(image, means, result);
              opencv_core.divide(result, deviations, result);
            }
          };
      theirs.run();
      Answers.requireRight("OpenCV", y.toArray(), expected);
      Turns.race(
          "InstanceNorm " + height + " x " + width + " x 3",
          new Turns.Call("NativeNorm", () -> norm.forward(x, y)),
          new Turns.Call(
              "NativeNorm, both wrapped",
              () -> {
                try (Tensor in = OpenCvTensors.wrap(image);
                    Tensor out = OpenCvTensors.wrap(result)) {
                  norm.forward(in, out);
                }
              }),
          new Turns.Call("OpenCV", theirs));
    }
  }
}
