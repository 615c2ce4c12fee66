package io.nativenorm.libraries;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * A model of one node, LayerNormalization of x to y with any number of rows, in protobuf's bytes.
 * The numbers of fields are those of onnx.proto.
 */
final class OnnxModel {
  private static final int IR_VERSION = 10;
  private static final int OPERATOR_SET = 17; // the first with LayerNormalization
  private static final int FLOAT = 1; // TensorProto.DataType
  private static final int FLOAT_ATTRIBUTE = 1; // AttributeProto.AttributeType

  private OnnxModel() {}

  static byte[] layerNorm(Rows rows) {
    Message epsilon =
        new Message().text(1, "epsilon").number(2, (float) Rows.EPS).number(20, FLOAT_ATTRIBUTE);
    Message node =
        new Message()
            .text(1, "x")
            .text(1, "weight")
            .text(1, "bias")
            .text(2, "y")
            .text(4, "LayerNormalization")
            .message(5, epsilon);
    Message graph =
        new Message()
            .message(1, node)
            .text(2, "normalization")
            .message(5, constant("weight", rows.weight()))
            .message(5, constant("bias", rows.bias()))
            .message(11, value("x", rows.length()))
            .message(12, value("y", rows.length()));
    return new Message()
        .number(1, IR_VERSION)
        .message(7, graph)
        .message(8, new Message().number(2, OPERATOR_SET))
        .bytes();
  }

  private static Message constant(String name, float[] values) {
    ByteBuffer raw =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(values);
    return new Message()
        .number(1, values.length)
        .number(2, FLOAT)
        .text(8, name)
        .bytes(9, raw.array());
  }

  private static Message value(String name, int length) {
    Message shape =
        new Message()
            .message(1, new Message().text(2, "rows"))
            .message(1, new Message().number(1, length));
    Message tensor = new Message().number(1, FLOAT).message(2, shape);
    return new Message().text(1, name).message(2, new Message().message(1, tensor));
  }

  /** Fields one after the other: its number and kind, then a number or bytes with their length. */
  private static final class Message {
    private static final int VARINT = 0;
    private static final int BYTES = 2;
    private static final int FOUR_BYTES = 5;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private void varint(long value) {
      for (; value > 0x7f; value >>>= 7) {
        out.write((int) (value & 0x7f | 0x80));
      }
      out.write((int) value);
    }

    Message number(int field, long value) {
      varint(field << 3 | VARINT);
      varint(value);
      return this;
    }

    Message number(int field, float value) {
      varint(field << 3 | FOUR_BYTES);
      out.writeBytes(
          ByteBuffer.allocate(Float.BYTES).order(ByteOrder.LITTLE_ENDIAN).putFloat(value).array());
      return this;
    }

    Message bytes(int field, byte[] value) {
      varint(field << 3 | BYTES);
      varint(value.length);
      out.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return bytes(field, value.bytes());
    }

    byte[] bytes() {
      return out.toByteArray();
    }
  }
}
