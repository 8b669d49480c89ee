from side_by_side.run import main

main()
