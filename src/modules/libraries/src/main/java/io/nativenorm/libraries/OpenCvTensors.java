package io.nativenorm.libraries;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import org.bytedeco.opencv.global.opencv_core;
import org.bytedeco.opencv.opencv_core.Mat;
import org.bytedeco.opencv.opencv_core.Point;
import org.bytedeco.opencv.opencv_core.Size;

/** Tensors on the memory of OpenCV's images and matrices, and of regions of them. */
final class OpenCvTensors {
  static Tensor wrap(Mat mat) {
    if (mat.depth() != opencv_core.CV_32F || mat.dims() != 2 || mat.step() % mat.elemSize() != 0) {
      throw new IllegalArgumentException("expected floats (CV_32F) in two dimensions: " + mat);
    }
    try (Size whole = new Size();
        Point from = new Point()) {
      mat.locateROI(whole, from); // of what it is a region, and where
      long start = mat.data().address() - from.y() * mat.step() - from.x() * mat.elemSize();
      long width = mat.step() / mat.elemSize();
      long[] matrix = {whole.height(), width};
      long[] image = {1, mat.channels(), whole.height(), width};
      long[] shape = mat.channels() == 1 ? matrix : image;
      try (Tensor all = Tensor.wrap(start, mat, DataType.F32, Layout.CHANNELS_LAST, shape);
          Tensor rows = all.narrow(shape.length - 2, from.y(), mat.rows())) {
        return rows.narrow(shape.length - 1, from.x(), mat.cols());
      }
    }
  }
}
