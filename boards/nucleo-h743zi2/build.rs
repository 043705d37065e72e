fn main() {
    memory_map::emit();
}
