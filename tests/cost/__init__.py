"""What Tocsin costs on AWS, as code: `make cost` counts on the emulator and multiplies by list prices."""
