package io.nativenorm.bench.contestant;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Workload;

/** A model of one node, whose input is x and whose output is y. */
final class OnnxModel {
  /** The first with RMSNormalization. */
  private static final int OPERATOR_SET = 23;

  private static final int IR_VERSION = 10;

  private OnnxModel() {}

  /** The serialized model of a workload's inference. */
  static byte[] of(Workload workload) {
    Cell cell = workload.cell();
    NodeProto.Builder node =
        NodeProto.newBuilder()
            .setOpType(operator(cell))
            .addInput("x")
            .addInput("weight")
            .addOutput("y")
            .addAttribute(
                attribute("epsilon", AttributeProto.AttributeType.FLOAT)
                    .setF((float) Workload.EPS));
    GraphProto.Builder graph =
        GraphProto.newBuilder()
            .setName("normalization")
            .addInput(value("x", cell))
            .addOutput(value("y", cell))
            .addInitializer(constant("weight", workload.weight()));
    addConstant(graph, node, "bias", workload.bias());
    addConstant(graph, node, "mean", workload.runningMean());
    addConstant(graph, node, "variance", workload.runningVariance());
    switch (cell.operation()) {
      case LAYER, RMS ->
          node.addAttribute(attribute("axis", AttributeProto.AttributeType.INT).setI(-1));
      case GROUP ->
          node.addAttribute(
              attribute("num_groups", AttributeProto.AttributeType.INT).setI(cell.groups()));
      case BATCH, INSTANCE -> {}
    }
    return ModelProto.newBuilder()
        .setIrVersion(IR_VERSION)
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(OPERATOR_SET))
        .setGraph(graph.addNode(node))
        .build()
        .toByteArray();
  }

  private static String operator(Cell cell) {
    return switch (cell.operation()) {
      case BATCH -> "BatchNormalization";
      case LAYER -> "LayerNormalization";
      case RMS -> "RMSNormalization";
      case GROUP -> "GroupNormalization";
      case INSTANCE -> "InstanceNormalization";
    };
  }

  private static AttributeProto.Builder attribute(String name, AttributeProto.AttributeType type) {
    return AttributeProto.newBuilder().setName(name).setType(type);
  }

  private static ValueInfoProto value(String name, Cell cell) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (long extent : cell.extents()) {
      shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(extent));
    }
    TypeProto.Tensor.Builder tensor =
        TypeProto.Tensor.newBuilder().setElemType(TensorProto.DataType.FLOAT_VALUE).setShape(shape);
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setType(TypeProto.newBuilder().setTensorType(tensor))
        .build();
  }

  private static void addConstant(
      GraphProto.Builder graph, NodeProto.Builder node, String name, float[] values) {
    if (values != null) {
      node.addInput(name);
      graph.addInitializer(constant(name, values));
    }
  }

  private static TensorProto constant(String name, float[] values) {
    TensorProto.Builder tensor =
        TensorProto.newBuilder()
            .setName(name)
            .setDataType(TensorProto.DataType.FLOAT_VALUE)
            .addDims(values.length);
    for (float value : values) {
      tensor.addFloatData(value);
    }
    return tensor.build();
  }
}
