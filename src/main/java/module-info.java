/** Normalization layers for the JVM at native speed. */
module io.nativenorm {
  // Tensor.pointer and Tensor.wrap have JavaCPP's Pointer in their signatures.
  requires transitive org.bytedeco.javacpp;
  requires org.bytedeco.dnnl;
  // dnnl's classes inherit from opencl's, which its own module forgets to require.
  requires org.bytedeco.opencl;
  // The headers of safetensors files.
  requires com.google.gson;
  // Which collector runs: see HeapArrays.
  requires java.management;
  // What happens, to those who record it: see Recordings, which does without.
  requires static jdk.jfr;
  // Whether the processor has fma: see FusedMultiplyAdd, which does without.
  requires static jdk.management;
  requires static info.picocli;
  // What may be null: of tools, not of running programs.
  requires static org.jspecify;

  exports io.nativenorm;

  opens io.nativenorm.cli to
      info.picocli;
}
